"""Normal loss: angles between the normals of predicted and labelled surfaces."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from flow3r.losses.alignment import Aligned, Target
from flow3r.losses.config import LossConfig

_MIN_SQUARED_AREA = 1e-20
"""Squared length of a cross product below which a cell is degenerate and has no normal."""
_MIN_DEPTH = 1e-6

Vector = tuple[Tensor, Tensor, Tensor]
"""x, y, z as separate tensors of one shape."""


def normals_loss(prediction: Aligned, target: Target, config: LossConfig) -> Tensor:
    """pi3's normal loss on local points.

    Every 2x2 cell has four normals, one per corner, each from the two cell edges that meet there.
    The angle to the label's normal is clamped, smoothed near zero, zeroed where one of the corner's
    three pixels is invalid or a depth edge; the mean runs over all cells (four corners summed) and
    is divided by 4 max(H, W).
    """
    batch, frames, height, width = prediction.points.shape[1:]
    if height < 2 or width < 2:
        return prediction.points.sum() * 0.0
    total = prediction.points.new_zeros(())
    predicted = corner_normals(prediction.points)
    for normal, (label, mask) in zip(predicted, _labels(target, config), strict=True):
        total = total + (_smoothed_angle(normal, label, config) * mask).sum()
    cells = batch * frames * (height - 1) * (width - 1)
    return total / (cells * 4 * max(height, width))


def corner_normals(points: Tensor) -> list[Vector]:
    """Normals (horizontal x vertical edge, not normalised) of the four corners of every cell.

    Order: left-up, right-up, left-down, right-down; each component is [B, N, H-1, W-1].
    """
    horizontal = points[..., :, 1:] - points[..., :, :-1]
    vertical = points[..., 1:, :] - points[..., :-1, :]
    normals = []
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            normals.append(_cross(horizontal[..., rows, :], vertical[..., :, columns]))
    return normals


def _cross(a: Tensor, b: Tensor) -> Vector:
    ax, ay, az = a
    bx, by, bz = b
    return (
        torch.addcmul(ay * bz, az, by, value=-1),
        torch.addcmul(az * bx, ax, bz, value=-1),
        torch.addcmul(ax * by, ay, bx, value=-1),
    )


def _dot(a: Vector, b: Vector) -> Tensor:
    return torch.addcmul(torch.addcmul(a[0] * b[0], a[1], b[1]), a[2], b[2])


@torch.no_grad()
def _labels(target: Target, config: LossConfig) -> list[tuple[Vector, Tensor]]:
    """Unit normals of the label and the mask (1 or 0) of each corner, as in `corner_normals`."""
    usable = target.valid * ~_depth_edges(target, config.edge_tolerance)
    lu, ru = usable[..., :-1, :-1], usable[..., :-1, 1:]
    ld, rd = usable[..., 1:, :-1], usable[..., 1:, 1:]
    masks = [lu * ru * ld, lu * ru * rd, ld * rd * lu, ld * rd * ru]
    result = []
    for normal, mask in zip(corner_normals(target.points), masks, strict=True):
        squared = _dot(normal, normal)
        inverse = squared.clamp_min(_MIN_SQUARED_AREA).rsqrt()
        x, y, z = (component * inverse for component in normal)
        result.append(((x, y, z), mask * (squared > _MIN_SQUARED_AREA)))
    return result


def _smoothed_angle(normal: Vector, unit: Vector, config: LossConfig) -> Tensor:
    """Clamped angle a between `normal` (any length) and `unit`: a^2 / 2b below b, a - b/2 above."""
    inverse = _dot(normal, normal).clamp_min(_MIN_SQUARED_AREA).rsqrt()
    # Clamping the cosine is clamping the angle, and keeps its sine away from zero.
    cosine = (_dot(normal, unit) * inverse).clamp(
        math.cos(config.normal_angle_max), math.cos(config.normal_angle_min)
    )
    # Several times faster than acos, which has no vectorised kernel.
    angle = torch.atan2((1 - cosine * cosine).sqrt(), cosine)
    beta = config.normal_smoothing
    below = angle.clamp_max(beta)
    return below * (angle - below / 2) / beta


def _depth_edges(target: Target, tolerance: float) -> Tensor:
    """[B, N, H, W] bool: valid depths in 3x3 span more than `tolerance` of the pixel's own."""
    depth = target.points[2]
    # Invalid pixels are zero in both, so they never are the largest.
    far = _largest_in_3x3(depth)
    near = 1 / _largest_in_3x3(target.valid / depth.clamp_min(_MIN_DEPTH)).clamp_min(_MIN_DEPTH)
    return (far - near) > tolerance * depth


def _largest_in_3x3(x: Tensor) -> Tensor:
    """3x3 maximum within the image; several times faster on a CPU than max_pool2d."""
    for dim in (-1, -2):
        size = x.shape[dim]
        first, last = x.narrow(dim, 0, size - 1), x.narrow(dim, 1, size - 1)
        inner = torch.maximum(first, last)
        x = x.clone()
        x.narrow(dim, 0, size - 1).copy_(inner)
        rest = x.narrow(dim, 1, size - 1)
        torch.maximum(rest, torch.maximum(inner, last), out=rest)
    return x
