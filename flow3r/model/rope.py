"""Two-dimensional rotary position embedding (RoPE), as in pi3 (from CroCo).

A head of width d is split into a y half and an x half of d/2 channels. In each half the channels
c and c + d/4 form a rotating pair ("half-split" layout, not interleaved), turned by
position * 100^(-2c / (d/2)). Positions are the integer patch (y, x) plus one; special tokens sit
at (0, 0), where the rotation is the identity. Frames share positions: there is no frame index.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BASE = 100.0


@dataclass(frozen=True)
class Rotary:
    """Cosines and signed sines of the rotation of every token and channel."""

    cos: Tensor  # [T, d]
    sin: Tensor  # [T, d], negated on the first channel of every rotating pair
    partner: Tensor  # [d, d], the permutation that swaps the channels of every pair

    def repeat(self, frames: int) -> Rotary:
        """The table of `frames` frames one after the other: [frames * T, d]."""
        return Rotary(self.cos.repeat(frames, 1), self.sin.repeat(frames, 1), self.partner)

    def apply(self, x: Tensor) -> Tensor:
        """Rotate queries or keys [..., T, d]; same shape and dtype.

        The swap is a product with a permutation matrix: exact, and on a CPU twice as fast as
        slicing and concatenating, five times as fast as flipping (forward and backward).
        """
        cos, sin, partner = (t.to(x.dtype) for t in (self.cos, self.sin, self.partner))
        return x * cos + (x @ partner) * sin


def patch_positions(grid: tuple[int, int], specials: int, device: torch.device) -> Tensor:
    """[specials + h*w, 2] integer (y, x): zeros for special tokens, then row-major patches + 1."""
    rows = torch.arange(1, grid[0] + 1, device=device)
    columns = torch.arange(1, grid[1] + 1, device=device)
    patches = torch.cartesian_prod(rows, columns)  # [h*w, 2]
    return torch.cat([patches.new_zeros(specials, 2), patches])


def rotary(positions: Tensor, head_width: int) -> Rotary:
    """The rotation table of `positions` [T, 2] for heads of `head_width` channels.

    Made once for all blocks of a forward pass, in the dtype that autocast will give the queries.
    Angles are computed in float32 and their cosines rounded. The released code rounds the angles
    themselves, which under bf16 differs noticeably (an angle near 37 rad keeps 8 bits).
    """
    quarter, device_type = head_width // 4, positions.device.type
    dtype = torch.float32
    if torch.is_autocast_enabled(device_type):
        dtype = torch.get_autocast_dtype(device_type)
    step = torch.arange(quarter, device=positions.device, dtype=torch.float32) / quarter
    angles = positions[:, :, None].float() * BASE**-step  # [T, 2, d/4]
    cos, sin = angles.cos(), angles.sin()
    identity = torch.eye(head_width, device=positions.device)
    return Rotary(
        cos=torch.stack([cos, cos], dim=-2).flatten(1).to(dtype),
        sin=torch.stack([-sin, sin], dim=-2).flatten(1).to(dtype),
        partner=identity.unflatten(1, (2, 2, quarter)).flip(2).flatten(1).to(dtype),
    )
