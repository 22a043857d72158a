"""Where the true motion has an edge: the place where real teachers err most."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flow3r.geometry.camera import pixel_grid

JUMP_PX = 1.0
REACH_PX = 3


def near_edges(target_px: Tensor, covisibility: Tensor) -> Tensor:
    """Pixels within 3 px of a hidden one, or of a jump of the flow of over 1 px to a neighbour.

    target_px [P, H, W, 2], covisibility [P, H, W]; bool [P, H, W].
    """
    height, width = covisibility.shape[-2:]
    flow = target_px - pixel_grid(height, width, target_px.device, target_px.dtype)
    edge = covisibility < 0.5
    down = (flow[:, 1:] - flow[:, :-1]).norm(dim=-1) > JUMP_PX
    right = (flow[:, :, 1:] - flow[:, :, :-1]).norm(dim=-1) > JUMP_PX
    edge = edge | F.pad(down, (0, 0, 0, 1)) | F.pad(right, (0, 1))
    side = 2 * REACH_PX + 1
    pooled = F.max_pool2d(edge.float()[:, None], side, stride=1, padding=REACH_PX)
    return pooled[:, 0].to(torch.bool)
