"""DIS against exact flow on generated clips with several moving objects."""

import pytest
import torch

from flow3r.data.world import GeneratedClip, WorldConfig, generate_clip
from flow3r.teachers.dis import DisTeacher

VIDEO_LIKE = WorldConfig(
    dynamic=True,
    frames=5,
    height=128,
    width=128,
    baseline=(0.018, 0.053),
    yaw=(-1.4, 1.4),
    pitch=(-0.4, 0.4),
    roll=(-0.2, 0.2),
    object_speed=(0.007, 0.028),
    object_turn=(-2.0, 2.0),
    noise=0.0,
    exposure_drift=0.0,
    supersample=2,
)
"""Successive frames of a video: about 3 px of motion from one to the next."""


@pytest.fixture(scope="module")
def clips() -> list[GeneratedClip]:
    return [generate_clip(VIDEO_LIKE, 0, index) for index in range(4)]


@pytest.mark.slow
@pytest.mark.parametrize(("gap", "error", "precision"), [(1, 0.5, 0.97), (4, 1.0, 0.95)])
def test_kept_flow_is_accurate_and_the_mask_precise(clips, gap, error, precision):
    pairs = torch.tensor([[0, gap], [4, 4 - gap]])
    errors, right = [], []
    for clip in clips:
        labels = DisTeacher().label(clip.images, pairs)
        target_px, covisibility = clip.flow(pairs)
        kept, seen = labels.covisibility > 0.5, covisibility > 0.5
        errors.append((labels.target_px - target_px).norm(dim=-1)[kept & seen])
        right.append(seen[kept].float())
    assert float(torch.cat(errors).mean()) < error
    assert float(torch.cat(right).mean()) > precision
    assert float(torch.cat(right).numel()) > 0.6 * len(clips) * 2 * 128 * 128
