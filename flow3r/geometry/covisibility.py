"""Which pixels of one frame another frame sees, from the depth maps of both."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.geometry.camera import unproject
from flow3r.geometry.flow import rigid_target_px
from flow3r.geometry.precision import never_half
from flow3r.geometry.se3 import transform_points


@never_half
def depth_agreement(
    depth_source: Tensor,  # [P, H, W], 0 = none
    depth_target: Tensor,  # [P, h, w]
    intrinsics_source: Tensor,  # [P, 3, 3]
    intrinsics_target: Tensor,  # [P, 3, 3]
    target_from_source: Tensor,  # [P, 4, 4]
) -> tuple[Tensor, Tensor]:
    """Rigid flow of a static scene, and how well the target's depth map agrees with it.

    Returns `target_px` [P, H, W, 2] (finite everywhere) and `error` [P, H, W] = |z' - d| / z', z'
    being the depth of the source pixel's point in the target camera and d what the target measured
    there: of the four pixels around the place and their bilinear mean (only where all four are
    known) the value that fits best, since a single pixel of a slanted surface is off by its slope.
    Infinite where the source has no depth, the point is behind the target camera or outside its
    image, or the target has no depth at any of the four pixels.
    """
    points = unproject(depth_source, intrinsics_source)
    target_px, in_front = rigid_target_px(
        points[None], target_from_source[None], intrinsics_target[None]
    )
    target_px, in_front = target_px[0], in_front[0]
    z = transform_points(target_from_source, points.flatten(-3, -2))[..., 2].view_as(depth_source)
    height, width = depth_target.shape[-2:]
    x, y = target_px.unbind(-1)
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    error = _closest(depth_target, x, y, z)
    known = (depth_source > 0) & in_front & inside
    return target_px, torch.where(known, error, torch.inf)


def _closest(depth: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """The least |z - d| / z over the neighbours of (x, y) and their bilinear mean; inf: none."""
    height, width = depth.shape[-2:]
    left, top = x.floor(), y.floor()
    flat = depth.flatten(-2)
    mean = torch.zeros_like(z)
    complete = torch.ones_like(z, dtype=torch.bool)
    best = torch.full_like(z, torch.inf)
    for right in (0, 1):
        for below in (0, 1):
            column = (left + right).clamp(0, width - 1).long()
            row = (top + below).clamp(0, height - 1).long()
            index = (row * width + column).flatten(-2)
            value = flat.gather(-1, index).view_as(z)
            known = value > 0
            best = torch.where(known, torch.minimum(best, (z - value).abs()), best)
            weight = (1 - (x - left - right).abs()) * (1 - (y - top - below).abs())
            mean, complete = mean + weight * value, complete & known
    best = torch.where(complete, torch.minimum(best, (z - mean).abs()), best)
    return best / z.abs().clamp_min(torch.finfo(z.dtype).tiny)


def shared_view(error: Tensor, depth_source: Tensor, tolerance: float) -> Tensor:
    """[P] share of the source pixels with depth that the target sees: `error` <= tolerance.

    `error` is that of `depth_agreement`, [P, H, W]; 0 for a frame without depth.
    """
    known = depth_source > 0
    seen = (error <= tolerance) & known
    return seen.sum((-2, -1)) / known.sum((-2, -1)).clamp_min(1)
