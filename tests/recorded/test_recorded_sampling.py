"""Which frames form a clip."""

from itertools import pairwise

import numpy as np
import pytest

from flow3r.config import from_mapping
from flow3r.data.recorded import sampling as choosing
from flow3r.data.recorded.config import (
    CovisibilitySampling,
    RecordedConfig,
    StrideSampling,
    TimeSampling,
)
from flow3r.data.recorded.sampling import (
    Sampler,
    by_stride,
    by_time,
    chosen_scenes,
    covisibility,
)
from flow3r.errors import ConfigError
from flow3r.streams import numpy_generator


def config(**changes) -> RecordedConfig:
    values = {"dataset": "7scenes", "folder": "x", "split": "all", "count": 4, "frames": 3}
    return from_mapping(RecordedConfig, {**values, "size": [16, 16], **changes})


def candidates(dataset, settings):
    return choosing.candidates(dataset, chosen_scenes(dataset, settings), settings.seed)


def test_strides_are_even_and_end_with_the_scene():
    generator = numpy_generator(0, "test")
    strides = set()
    for _ in range(50):
        chosen = by_stride(2, 20, 4, StrideSampling(stride=(2, 5)), generator)
        strides |= set(np.diff(chosen).tolist())
        assert chosen[0] == 2
        assert len(set(np.diff(chosen))) == 1
    assert strides == {2, 3, 4, 5}
    assert by_stride(15, 20, 4, StrideSampling(stride=(2, 2)), generator) is None
    assert by_stride(13, 20, 4, StrideSampling(stride=(2, 2)), generator) == (13, 15, 17, 19)


def test_times_are_met_within_the_tolerance():
    seconds = np.array([0.0, 0.1, 0.2, 0.3, 0.9, 1.0])
    generator = numpy_generator(0, "test")
    sampling = TimeSampling(seconds=(0.1, 0.1))
    assert by_time(0, seconds, 4, sampling, generator) == (0, 1, 2, 3)
    assert by_time(1, seconds, 4, sampling, generator) is None  # nothing near 0.4 s
    wide = TimeSampling(seconds=(0.5, 0.5), tolerance=0.2)
    assert by_time(0, seconds, 3, wide, generator) is None  # 0.3 s is not near 0.5 s


def test_sampling_by_time_needs_times(dataset):
    with pytest.raises(ConfigError, match="unknown setting"):
        config(sampling={"by": "time", "stride": [1, 2]})
    sampler = Sampler(dataset, config(sampling={"by": "time", "seconds": [0.2, 0.2]}))
    first = next(c for c in candidates(dataset, config()) if c.first == 1)
    assert sampler.clip(first) == (1, 3, 5)


def test_choices_are_nested_and_repeatable(dataset):
    names = [c.name for c in candidates(dataset, config())]
    assert sorted(names) == sorted(f"{s}/{i:04d}" for s in "ab" for i in range(8))
    assert names == [c.name for c in candidates(dataset, config(count=9))]
    assert names != [c.name for c in candidates(dataset, config(seed=1))]
    only = [c.name for c in candidates(dataset, config(scenes=["b"]))]
    assert only == [name for name in names if name.startswith("b")]


def test_unknown_scenes_and_splits_are_named(dataset):
    with pytest.raises(ConfigError, match=r"scenes=\['z'\].*\['a', 'b'\]"):
        chosen_scenes(dataset, config(scenes=["z"]))
    with pytest.raises(ConfigError, match="split='test'"):
        chosen_scenes(dataset, config(split="test"))


def test_covisibility_follows_the_exact_one(clips):
    """The share of exactly covisible pixels of the world, both ways, to a few percent."""
    clip = clips[0]
    views = [
        tuple(v[i].double().numpy() for v in (clip.depth, clip.intrinsics, clip.world_from_camera))
        for i in range(8)
    ]
    for one, other in ((0, 1), (0, 4), (2, 7)):
        _, exact = clip.flow([(one, other), (other, one)])
        expected = float(exact.mean((-2, -1)).min())
        assert covisibility(views[one], views[other], 0.05) == pytest.approx(expected, abs=0.06)
    assert covisibility(views[3], views[3], 0.01) == 1.0


def test_covisible_clips_lie_in_the_range(dataset):
    sampling = CovisibilitySampling(share=(0.5, 0.95), reach=4)
    settings = config(sampling={"by": "covisibility", "share": [0.5, 0.95], "reach": 4})
    sampler = Sampler(dataset, settings)
    made = {c.name: (c.scene, sampler.clip(c)) for c in candidates(dataset, settings)}
    clips = [clip for clip in made.values() if clip[1] is not None]
    assert clips
    for scene, chosen in clips:
        for one, other in pairwise(chosen):
            assert 1 <= other - one <= 4
            views = [sampler._thumbnail(scene, i) for i in (one, other)]
            assert sampling.share[0] <= covisibility(*views, 0.05) <= sampling.share[1]
    again = Sampler(dataset, settings)
    assert made == {
        c.name: (c.scene, again.clip(c)) for c in reversed(candidates(dataset, settings))
    }


def test_frames_without_a_pose_are_not_used(dataset):
    scene = dataset.content["a"]
    frames = list(scene.frames)
    object.__setattr__(frames[4], "pose_source", None)
    sampler = Sampler(dataset, config())
    own = {c.first: sampler.clip(c) for c in candidates(dataset, config()) if c.scene == "a"}
    assert own == {0: (0, 1, 2), 1: (1, 2, 3), 5: (5, 6, 7)} | dict.fromkeys((2, 3, 4, 6, 7))
