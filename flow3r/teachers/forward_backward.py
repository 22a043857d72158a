"""Covisibility of a matcher that says none: flow both ways, kept where the two agree."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from flow3r.geometry.camera import pixel_grid


def inside(target_px: Tensor) -> Tensor:
    """Whether target coordinates [..., H, W, 2] lie in the image of their own size."""
    height, width = target_px.shape[-3:-1]
    limit = target_px.new_tensor([width - 0.5, height - 0.5])
    return ((target_px >= -0.5) & (target_px < limit)).all(-1)


def agreement(forward: Tensor, backward: Tensor, relative: float, absolute: float) -> Tensor:
    """The check of `consistency.consistent` for flows [P, H, W, 2] on any device; float [P, H, W].

    |f + b'|^2 < relative (|f|^2 + |b'|^2) + absolute (Sundaram et al., ECCV 2010), b' sampled
    bilinearly at the target, which has to lie in the image.
    """
    height, width = forward.shape[1:3]
    target = pixel_grid(height, width, forward.device, forward.dtype) + forward
    span = target.new_tensor([width, height])
    back = F.grid_sample(
        backward.permute(0, 3, 1, 2),
        (2 * target + 1) / span - 1,  # pixel centres at integers: align_corners is False
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    ).permute(0, 2, 3, 1)
    gap = (forward + back).square().sum(-1)
    size = forward.square().sum(-1) + back.square().sum(-1)
    return ((gap < relative * size + absolute) & inside(target)).float()
