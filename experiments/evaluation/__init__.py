"""Benchmarks: predictions exported once per sequence, then scored from the files.

`sources` says what is evaluated, `plan` gives an evaluation its identity, `sequences` what a
benchmark shows, `memory` what it takes, `export` writes predictions, `scoring` reads them,
`command` is evaluate.py's part. The work itself is `experiments.work.evaluation`.
"""
