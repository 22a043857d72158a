"""Heads that decode per-pixel geometry from patch features (pi3's LinearPts3d)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LOG_DEPTH_LIMIT = 15.0
"""Pi3X's bound on log z before the exponential; e^15 is beyond any scene, below overflow."""


class PixelHead(nn.Module):
    """One linear layer from a patch to the channels of its pixels.

    The layer's outputs are in pixel_shuffle's order: channel, then sub-row, then sub-column.
    """

    def __init__(self, width: int, channels: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Linear(width, channels * patch_size**2)

    def forward(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """[F, h*w, C] -> [F, channels, H, W]."""
        maps = self.proj(patches).transpose(1, 2).unflatten(2, grid)
        return functional.pixel_shuffle(maps, self.patch_size)


def decode_points(raw: Tensor) -> Tensor:
    """(x, y, log z) [F, 3, H, W] -> local points (x*z, y*z, z) [F, H, W, 3], z > 0."""
    xy, log_depth = raw.split([2, 1], dim=1)
    depth = log_depth.clamp(max=LOG_DEPTH_LIMIT).exp()
    return torch.cat([xy * depth, depth], dim=1).permute(0, 2, 3, 1)
