"""The sequences of a benchmark, listed before any of them is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from flow3r.data.framing import Size
from flow3r.data.scenes import Dataset
from flow3r.errors import DataError
from flow3r.evaluation.protocols.loading import input_window, protocol_frames, protocol_scenes
from flow3r.evaluation.protocols.protocol import Protocol

SIZES_READ = 64
"""Scenes whose first picture is looked at for the largest size; reading all takes minutes in
datasets of thousands of scenes. The size of each is checked again before it is used."""


@dataclass(frozen=True)
class Listed:
    """A sequence of the benchmark."""

    scene: str
    frames: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class LargestInput:
    """The largest sequence of a benchmark."""

    frames: int
    shown: int
    """Frames that the model sees at a time."""
    height: int
    width: int
    """Of the model's input."""
    compared: tuple[int, int]
    """(height, width) at which depth and points are compared."""


def list_sequences(
    protocol: Protocol, dataset: Dataset, on_scene: Callable[[int, int], None]
) -> list[Listed]:
    """The sequences in the split's order; reads neither pictures nor depth.

    Raises DataError where the benchmark has none.
    """
    names = protocol_scenes(protocol, dataset.scenes(protocol.split))
    found = []
    for place, name in enumerate(names):
        frames = protocol_frames(protocol, dataset.scene(name))
        if frames:
            found.append(Listed(name, tuple(frame.name for frame in frames)))
        on_scene(place + 1, len(names))
    if not found:
        raise DataError(
            f"{protocol.name}: none of the {len(names)} scenes in split {protocol.split!r} of "
            f"{dataset.path} has the frames that the protocol asks for"
        )
    return found


def largest_input(protocol: Protocol, dataset: Dataset, listed: list[Listed]) -> LargestInput:
    """The most frames and pixels of the sequences, judged by up to `SIZES_READ` of them."""
    step = max(1, len(listed) // SIZES_READ)
    longest = max(listed, key=len)
    sizes = [_sizes(protocol, dataset, one.scene) for one in [*listed[::step], longest]]
    shown = max((shown for shown, _ in sizes), key=math.prod)
    compared = max((compared for _, compared in sizes), key=math.prod)
    together = 1 if protocol.single_frames else len(longest)
    return LargestInput(len(longest), together, *shown, compared)


def _sizes(protocol: Protocol, dataset: Dataset, scene: str) -> tuple[Size, Size]:
    """Of the input and of the comparison, by a scene's first frame."""
    first = protocol_frames(protocol, dataset.scene(scene))[0]
    shown = input_window(protocol.size, first.image().shape[:2])[0]
    depth = first.depth() if protocol.size.compare == "original" else None
    return shown, shown if depth is None else (depth.shape[0], depth.shape[1])
