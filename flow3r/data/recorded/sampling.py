"""Which frames form a clip. Every draw comes from a stream named after the clip's first frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from flow3r.data.recorded.config import (
    CovisibilitySampling,
    RecordedConfig,
    Sampling,
    StrideSampling,
    TimeSampling,
)
from flow3r.data.recorded.framed import framed_geometry
from flow3r.data.scenes import Dataset, Frame, Scene
from flow3r.data.subset import named_subset
from flow3r.errors import ConfigError
from flow3r.geometry.covisibility import depth_agreement, shared_view
from flow3r.geometry.se3 import relative_pose
from flow3r.streams import numpy_generator

THUMBNAIL = 48
"""Pixels of the longer side of the depth maps whose covisibility is measured."""
_SCENES_KEPT = 32


@dataclass(frozen=True)
class Candidate:
    """A frame that a clip may begin with."""

    scene: str
    first: int
    """Position of the frame in the scene."""
    name: str
    """`<scene>/<name of the first frame>`: the clip's name, and that of its stream."""


def candidates(dataset: Dataset, scenes: list[str], seed: int) -> list[Candidate]:
    """Every frame of the scenes in the nested order of their names.

    The first n clips of a larger choice are the n clips of a smaller one.
    """
    found = [
        Candidate(name, first, f"{name}/{frame.name}")
        for name in scenes
        for first, frame in enumerate(dataset.scene(name).frames)
    ]
    order = named_subset((c.name for c in found), len(found), f"recorded/{seed}")
    return [found[i] for i in order]


def chosen_scenes(dataset: Dataset, config: RecordedConfig) -> list[str]:
    """The scenes of the split that were asked for. ConfigError for one that is not there."""
    scenes = dataset.scenes(config.split)
    unknown = sorted(set(config.scenes) - set(scenes))
    if unknown:
        raise ConfigError(
            f"scenes={unknown} are not in split {config.split!r} of {dataset.name}; it has {scenes}"
        )
    return [name for name in scenes if not config.scenes or name in config.scenes]


class Sampler:
    """Draws the frames of a clip. Holds the scenes and thumbnails that were read last."""

    def __init__(self, dataset: Dataset, config: RecordedConfig):
        self.config = config
        self.scene: Callable[[str], Scene] = lru_cache(_SCENES_KEPT)(dataset.scene)
        self._thumbnail = lru_cache(256)(self._read_thumbnail)

    def clip(self, candidate: Candidate) -> tuple[int, ...] | None:
        """Positions of the clip's frames in its scene, or None if it has no such frames.

        Raises DataError where a frame that had to be looked at cannot be read, ConfigError where
        the frames have no times and the sampling asks for them.
        """
        frames = self.scene(candidate.scene).frames
        generator = numpy_generator(self.config.seed, f"recorded/{candidate.name}")
        chosen = self._draw(self.config.sampling, candidate, frames, generator)
        if chosen is None or any(frames[i].pose_source is None for i in chosen):
            return None
        return chosen

    def _draw(
        self,
        sampling: Sampling,
        candidate: Candidate,
        frames: tuple[Frame, ...],
        generator: np.random.Generator,
    ) -> tuple[int, ...] | None:
        count = self.config.frames
        if isinstance(sampling, StrideSampling):
            return by_stride(candidate.first, len(frames), count, sampling, generator)
        if isinstance(sampling, TimeSampling):
            if any(frame.seconds is None for frame in frames):
                raise ConfigError(
                    f"sampling by time: the frames of {candidate.scene} have no times; "
                    "choose stride or covisibility"
                )
            seconds = np.array([frame.seconds for frame in frames])
            return by_time(candidate.first, seconds, count, sampling, generator)
        return self._by_covisibility(candidate, frames, sampling, generator)

    def _by_covisibility(
        self,
        candidate: Candidate,
        frames: tuple[Frame, ...],
        sampling: CovisibilitySampling,
        generator: np.random.Generator,
    ) -> tuple[int, ...] | None:
        chosen = [candidate.first]
        while len(chosen) < self.config.frames:
            last = chosen[-1]
            nearby = np.arange(last + 1, min(last + 1 + sampling.reach, len(frames)))
            fitting = self._fitting(candidate.scene, last, generator.permutation(nearby), sampling)
            following = next(fitting, None)
            if following is None:
                return None
            chosen.append(following)
        return tuple(chosen)

    def _fitting(
        self, scene: str, last: int, others: np.ndarray, sampling: CovisibilitySampling
    ) -> Iterator[int]:
        frames = self.scene(scene).frames
        low, high = sampling.share
        for other in map(int, others):
            if frames[last].pose_source is None or frames[other].pose_source is None:
                continue
            views = [self._thumbnail(scene, i) for i in (last, other)]
            if low <= covisibility(*views, sampling.tolerance) <= high:
                yield other

    def _read_thumbnail(self, scene: str, index: int) -> tuple[np.ndarray, ...]:
        return framed_geometry(self.scene(scene).frames[index], THUMBNAIL)


def by_stride(
    first: int,
    total: int,
    count: int,
    sampling: StrideSampling,
    generator: np.random.Generator,
) -> tuple[int, ...] | None:
    """`count` positions from `first` on, evenly spaced; None where the scene of `total` ends."""
    low, high = sampling.stride
    stride = int(generator.integers(low, high + 1))
    last = first + stride * (count - 1)
    return tuple(range(first, last + 1, stride)) if last < total else None


def by_time(
    first: int,
    seconds: np.ndarray,
    count: int,
    sampling: TimeSampling,
    generator: np.random.Generator,
) -> tuple[int, ...] | None:
    """`count` positions evenly spaced in time; None where one is too far from where it should be.

    seconds: [frames], of every frame of the scene.
    """
    low, high = np.log(sampling.seconds)
    distance = float(np.exp(generator.uniform(low, high)))
    wanted = seconds[first] + distance * np.arange(count)
    chosen = np.abs(seconds[None] - wanted[:, None]).argmin(axis=1)
    off = np.abs(seconds[chosen] - wanted).max()
    if off > sampling.tolerance * distance or len(set(chosen.tolist())) < count:
        return None
    return tuple(map(int, chosen))


def covisibility(
    one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...], tolerance: float
) -> float:
    """The smaller of the two shares of their view that two frames have in common.

    Each is (depth [h, w], intrinsics [3, 3], world_from_camera [4, 4]).
    """
    return min(_share(one, other, tolerance), _share(other, one, tolerance))


def _share(
    source: tuple[np.ndarray, ...], target: tuple[np.ndarray, ...], tolerance: float
) -> float:
    depth, k, pose = (torch.from_numpy(part)[None].double() for part in source)
    other_depth, other_k, other_pose = (torch.from_numpy(part)[None].double() for part in target)
    move = relative_pose(other_pose, pose)
    error = depth_agreement(depth, other_depth, k, other_k, move)[1]
    return float(shared_view(error, depth, tolerance))
