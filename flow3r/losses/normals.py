"""Normal loss: angles between the normals of predicted and labelled surfaces."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from flow3r.losses.alignment import Aligned, Target
from flow3r.losses.config import LossConfig

_MIN_SQUARED_AREA = 1e-20
"""Squared length of a cross product below which a cell is degenerate and has no normal."""


def normals_loss(prediction: Aligned, target: Target, config: LossConfig) -> Tensor:
    """pi3's normal loss on local points.

    Every 2x2 cell has four normals, one per corner, each from the two cell edges that meet there.
    The angle to the label's normal is clamped, smoothed near zero, zeroed where one of the corner's
    three pixels is invalid or a depth edge; the mean runs over all cells (four corners summed) and
    is divided by 4 max(H, W).
    """
    points = prediction.local_points
    height, width = points.shape[2:4]
    if height < 2 or width < 2:
        return points.sum() * 0.0
    usable = target.valid & ~_depth_edges(target, config.edge_tolerance)
    total = points.new_zeros(())
    for predicted, (label, mask) in zip(
        _corner_normals(points), _target_normals(target, usable), strict=True
    ):
        total = total + (_smoothed_angle(predicted, label, config) * mask).sum()
    cells = points.shape[0] * points.shape[1] * (height - 1) * (width - 1)
    return total / cells / (4 * max(height, width))


def _corner_normals(points: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Unnormalised normals (horizontal x vertical edge) of the four corners of every cell.

    Order: left-up, right-up, left-down, right-down; each component is [B, N, H-1, W-1].
    """
    components = points.unbind(dim=-1)
    horizontal = [c[..., :, 1:] - c[..., :, :-1] for c in components]
    vertical = [c[..., 1:, :] - c[..., :-1, :] for c in components]
    normals = []
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            a = [h[..., rows, :] for h in horizontal]
            b = [v[..., :, columns] for v in vertical]
            normals.append(
                (
                    a[1] * b[2] - a[2] * b[1],
                    a[2] * b[0] - a[0] * b[2],
                    a[0] * b[1] - a[1] * b[0],
                )
            )
    return normals


@torch.no_grad()
def _target_normals(
    target: Target, usable: Tensor
) -> list[tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
    """Unit normals of the label and the mask of each corner, in the order of `_corner_normals`."""
    lu, ru = usable[..., :-1, :-1], usable[..., :-1, 1:]
    ld, rd = usable[..., 1:, :-1], usable[..., 1:, 1:]
    masks = [lu & ru & ld, lu & ru & rd, ld & rd & lu, ld & rd & ru]
    result = []
    for (x, y, z), mask in zip(_corner_normals(target.local_points), masks, strict=True):
        squared = x * x + y * y + z * z
        inverse = squared.clamp_min(_MIN_SQUARED_AREA).rsqrt()
        unit = (x * inverse, y * inverse, z * inverse)
        result.append((unit, mask & (squared > _MIN_SQUARED_AREA)))
    return result


def _smoothed_angle(
    normal: tuple[Tensor, Tensor, Tensor], unit: tuple[Tensor, Tensor, Tensor], config: LossConfig
) -> Tensor:
    """Clamped, smoothed angle between `normal` (any length) and `unit`."""
    x, y, z = normal
    inverse = (x * x + y * y + z * z).clamp_min(_MIN_SQUARED_AREA).rsqrt()
    cosine = (x * unit[0] + y * unit[1] + z * unit[2]) * inverse
    # Clamping the cosine is clamping the angle, and keeps acos away from its singular end.
    cosine = cosine.clamp(math.cos(config.normal_angle_max), math.cos(config.normal_angle_min))
    angle, beta = torch.acos(cosine), config.normal_smoothing
    return F.smooth_l1_loss(angle, torch.zeros_like(angle), reduction="none", beta=beta)


@torch.no_grad()
def _depth_edges(target: Target, tolerance: float) -> Tensor:
    """[B, N, H, W] bool: valid depths in 3x3 span more than `tolerance` of the pixel's own."""
    depth, valid = target.local_points[..., 2], target.valid
    far = F.max_pool2d(torch.where(valid, depth, -torch.inf), 3, stride=1, padding=1)
    near = -F.max_pool2d(torch.where(valid, -depth, -torch.inf), 3, stride=1, padding=1)
    return valid & ((far - near) > tolerance * depth)
