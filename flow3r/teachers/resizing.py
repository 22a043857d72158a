"""Images to the size a network wants, and its flow back, with half-pixel centres."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def to_unit(frames: Tensor) -> Tensor:
    """Frames [N, 3, H, W], uint8 or float in [0, 1], as float32 in [0, 1]."""
    return frames.float() / 255 if frames.dtype == torch.uint8 else frames.float()


def stretch(values: Tensor, size: tuple[int, int]) -> Tensor:
    """[P, C, H, W] bilinearly to `size` (height, width); antialiased where it shrinks.

    Pixel x of the old image is at (x + 0.5) w / W - 0.5 of the new one. The aspect may change.
    """
    if tuple(values.shape[-2:]) == tuple(size):
        return values
    return F.interpolate(values, size, mode="bilinear", align_corners=False, antialias=True)


def stretch_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Displacements [P, 2, h, w] in their own pixels as [P, 2, H, W] in pixels of `size`.

    A displacement scales with the side it runs along: (dx W / w, dy H / h).
    """
    height, width = flow.shape[-2:]
    scale = flow.new_tensor([size[1] / width, size[0] / height])
    return stretch(flow, size) * scale[:, None, None]


def multiple_of(side: int, divisor: int, least: int) -> int:
    """`side` rounded to the nearest multiple of `divisor`, and at least `least`."""
    return max(least, round(side / divisor) * divisor)
