"""Photometric augmentation."""

import math

import torch

from flow3r.training.augmentation import augment
from flow3r.training.config import AugmentationConfig


def test_draws_depend_on_seed_stream_and_step_only():
    images = torch.rand(3, 2, 3, 4, 4)
    config = AugmentationConfig()
    first = augment(images, config, 1, "labelled", 5)
    torch.rand(10)
    assert torch.equal(first, augment(images, config, 1, "labelled", 5))
    for other in [(2, "labelled", 5), (1, "replay", 5), (1, "labelled", 6)]:
        assert not torch.equal(first, augment(images, config, *other))


def test_channels_are_permuted_alike_in_all_frames():
    images = torch.tensor([0.1, 0.2, 0.3]).view(1, 1, 3, 1, 1).expand(64, 4, 3, 2, 2)
    out = augment(images, AugmentationConfig(gain=0, frame_gain=0), 0, "x", 0)
    assert torch.equal(out.sort(dim=2).values, images)
    assert (out == out[:, :1]).all()
    assert len({tuple(c.tolist()) for c in out[:, 0, :, 0, 0]}) == 6


def test_gains_stay_in_their_range():
    images = torch.full((200, 2, 3, 1, 1), 0.25)
    config = AugmentationConfig(channel_permutation=False, gain=0.2, frame_gain=0.05)
    log = (augment(images, config, 0, "x", 0) / 0.25).log()
    assert log.abs().max() <= 0.25 + 1e-6
    assert log.abs().max() > 0.2
    assert (log[:, 0] - log[:, 1]).abs().max() <= 0.1 + 1e-6


def test_values_stay_in_the_unit_range():
    config = AugmentationConfig(gain=math.log(3))
    out = augment(torch.ones(4, 2, 3, 2, 2), config, 0, "x", 0)
    assert out.max() <= 1
