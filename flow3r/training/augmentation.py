"""Photometric augmentation with draws from a named stream, so that every arm sees the same."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flow3r.streams import torch_generator
from flow3r.training.appearance import DRAWS, change_appearance
from flow3r.training.config import AugmentationConfig


def augment(
    images: Tensor,  # [B, N, 3, H, W] in [0, 1]
    config: AugmentationConfig,
    seed: int,
    stream: str,
    step: int,
    places: np.ndarray | None = None,
    size: int | None = None,
) -> Tensor:  # [B, N, 3, H, W] in [0, 1]
    """Permute the colour channels of each clip and scale them, then change the frames' appearance
    as far as the settings ask for it; geometry is untouched.

    The draws depend on (seed, stream, step) and the place in the whole batch only; `places` are
    those of the images, out of `size` (by default the images are the whole batch).
    """
    frames = images.shape[1]
    clips = len(images) if size is None else size
    own = slice(None) if places is None else torch.from_numpy(places)
    generator = torch_generator(seed, f"augment/{stream}", step)
    gain = (torch.rand(clips, 1, 3, generator=generator) * 2 - 1) * config.gain
    frame_gain = (torch.rand(clips, frames, 1, generator=generator) * 2 - 1) * config.frame_gain
    if config.channel_permutation:
        order = torch.rand(clips, 3, generator=generator).argsort(1)[own].to(images.device)
        images = images.gather(2, order[:, None, :, None, None].expand_as(images))
    factor = (gain + frame_gain).exp()[own].to(images.device)
    images = (images * factor[..., None, None]).clamp(0, 1)
    if config.appearance is None:
        return images
    generator = torch_generator(seed, f"appearance/{stream}", step)
    draws = torch.rand(clips, frames, DRAWS, generator=generator)[own].flatten(0, 1)
    return change_appearance(images.flatten(0, 1), config.appearance, draws).view_as(images)
