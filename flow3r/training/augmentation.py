"""Photometric augmentation with draws from a named stream, so that every arm sees the same."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.streams import torch_generator
from flow3r.training.config import AugmentationConfig


def augment(
    images: Tensor,  # [B, N, 3, H, W] in [0, 1]
    config: AugmentationConfig,
    seed: int,
    stream: str,
    step: int,
) -> Tensor:  # [B, N, 3, H, W] in [0, 1]
    """Permute the colour channels of each clip and scale them; geometry is untouched.

    The draws depend on (seed, stream, step) and the place in the batch only.
    """
    clips, frames = images.shape[:2]
    generator = torch_generator(seed, f"augment/{stream}", step)
    gain = (torch.rand(clips, 1, 3, generator=generator) * 2 - 1) * config.gain
    frame_gain = (torch.rand(clips, frames, 1, generator=generator) * 2 - 1) * config.frame_gain
    if config.channel_permutation:
        order = torch.rand(clips, 3, generator=generator).argsort(1).to(images.device)
        images = images.gather(2, order[:, None, :, None, None].expand_as(images))
    factor = (gain + frame_gain).exp().to(images.device)
    return (images * factor[..., None, None]).clamp(0, 1)
