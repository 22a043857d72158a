"""The frames of a scene that a protocol gives to the model."""

from __future__ import annotations

import numpy as np

from flow3r.errors import DataError
from flow3r.evaluation.protocols.protocol import FrameChoice
from flow3r.streams import numpy_generator


def choose_frames(choice: FrameChoice, frames: int, scene: str) -> np.ndarray:
    """Indices [K] into the `frames` frames of a scene, in the order the model sees them.

    Empty where the scene is not part of the benchmark (fewer than `minimum` or `count` frames, or
    not in the list). A random choice depends on the seed, the scene's name and its number of
    frames only: not on the other scenes, nor on their order. Raises DataError where a listed index
    does not exist.
    """
    if choice.rule == "listed":
        return _listed(choice, frames, scene)
    exact = choice.rule in ("random", "spread")
    if frames < max(choice.minimum, choice.count if exact else 1):
        return np.zeros(0, dtype=np.int64)
    if choice.rule == "random":
        draw = numpy_generator(choice.seed, f"evaluation/frames/{scene}")
        return draw.choice(frames, size=choice.count, replace=False)
    if choice.rule == "spread":
        return np.rint(np.linspace(0, frames - 1, choice.count)).astype(np.int64)
    found = np.arange(choice.start, frames, choice.step)
    return found[: choice.count] if choice.count else found


def _listed(choice: FrameChoice, frames: int, scene: str) -> np.ndarray:
    indices = np.array(choice.listed.get(scene, ()), dtype=np.int64)
    wrong = indices[(indices < 0) | (indices >= frames)]
    if wrong.size:
        raise DataError(
            f"scene {scene}: the list of frames names {wrong.tolist()}, it has {frames} frames"
        )
    return indices
