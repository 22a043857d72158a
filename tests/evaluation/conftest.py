"""Small evaluation clips with smooth depth, real parallax and consistent labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.nn.functional import interpolate

from flow3r.data.clip import EvaluationClips, LabelledClips, PairFlow
from flow3r.streams import numpy_generator, torch_generator


def _clips(count: int, frames: int = 3, size: int = 8, seed: int = 0) -> EvaluationClips:
    draw = torch_generator(seed, "tests/evaluation")
    low = torch.rand(count, frames, 4, 4, generator=draw) * 3 + 2
    depth = interpolate(low, size=(size, size), mode="bilinear", align_corners=True)
    depth[:, :, 0, 0] = 0.0  # a pixel without a measurement
    centre = (size - 1) / 2
    intrinsics = torch.tensor([[size, 0.0, centre], [0.0, size, centre], [0.0, 0.0, 1.0]])
    vectors = numpy_generator(seed, "tests/evaluation/rotation").normal(size=(count * frames, 3))
    rotation = torch.from_numpy(Rotation.from_rotvec(0.2 * vectors).as_matrix()).float()
    poses = torch.eye(4).repeat(count, frames, 1, 1)
    poses[..., :3, :3] = rotation.view(count, frames, 3, 3)
    poses[..., :3, 3] = torch.randn(count, frames, 3, generator=draw)
    pairs = torch.tensor([[0, 1], [1, 0]])
    flow = PairFlow(
        pairs=pairs,
        target_px=torch.rand(count, 2, size, size, 2, generator=draw) * size,
        covisibility=torch.rand(count, 2, size, size, generator=draw),
    )
    images = torch.rand(count, frames, 3, size, size, generator=draw)
    labelled = LabelledClips(
        images, depth, intrinsics.expand(count, frames, 3, 3).clone(), poses, flow
    )
    moving = torch.rand(count, frames, size, size, generator=draw) > 0.6
    return EvaluationClips(
        labelled, moving, tuple(f"static/{seed * 1000 + i:06d}" for i in range(count))
    )


@pytest.fixture(scope="session")
def make_clips() -> Callable[..., EvaluationClips]:
    """make_clips(count, frames=3, size=8, seed=0) -> EvaluationClips."""
    return _clips
