"""Flow of a rigid scene, and the released head's flow convention."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.geometry.camera import MIN_DEPTH, project
from flow3r.geometry.precision import never_half
from flow3r.geometry.se3 import transform_points


@never_half
def rigid_target_px(
    local_points: Tensor,  # [B, P, H, W, 3], the source frame's points in its camera axes
    target_from_source: Tensor,  # [B, P, 4, 4]
    intrinsics_target: Tensor,  # [B, P, 3, 3]
) -> tuple[Tensor, Tensor]:
    """Where each source pixel's point appears in the target frame, if nothing moves.

    Returns `target_px` [B, P, H, W, 2] in pixels of the target frame (finite everywhere) and the
    mask of points in front of the target camera, [B, P, H, W] bool (z > MIN_DEPTH).
    """
    height, width = local_points.shape[-3:-1]
    moved = transform_points(target_from_source, local_points.flatten(-3, -2))
    target_px, z = project(moved.unflatten(-2, (height, width)), intrinsics_target)
    return target_px, z > MIN_DEPTH


@never_half
def ndc_from_px(target_px: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels (x, y) [..., 2] to the released flow head's coordinates; `size` is (H, W).

    +x left, +y up; pixel 0 is +1 and the last pixel is -1 on each axis (flow_utils.py of the
    released code: x_px = (1 - x_ndc) (W - 1) / 2).
    """
    last_x, last_y = _last_pixel(size)
    x, y = target_px.unbind(dim=-1)
    return torch.stack([1 - x * (2 / last_x), 1 - y * (2 / last_y)], dim=-1)


@never_half
def px_from_ndc(ndc: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `ndc_from_px`."""
    last_x, last_y = _last_pixel(size)
    x, y = ndc.unbind(dim=-1)
    return torch.stack([(1 - x) * (last_x / 2), (1 - y) * (last_y / 2)], dim=-1)


def _last_pixel(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if height < 2 or width < 2:
        raise ValueError(f"size={size}: the convention needs at least 2 pixels on each axis")
    return width - 1, height - 1
