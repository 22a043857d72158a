"""The field's benchmarks: which frames, at which size, aligned how, averaged how.

`protocol` is what a benchmark's config file holds, `frames` chooses frames, `size` the resolution,
`truth` the arrays that a scene is scored against, `score` scores one scene and `summary` averages
scenes. `score_scene(protocol, truth, prediction)` needs no model and no dataset.
"""
