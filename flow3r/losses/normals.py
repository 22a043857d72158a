"""Normal loss: angles between the normals of predicted and labelled surfaces."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from flow3r.losses.alignment import Aligned, Target
from flow3r.losses.config import LossConfig
from flow3r.losses.reduction import Total, alone

_MIN_SQUARED_AREA = 1e-20
"""Squared length of a cross product below which a cell is degenerate and has no normal."""
_MIN_DEPTH = 1e-6

Vector = tuple[Tensor, Tensor, Tensor]
"""x, y, z as separate tensors of one shape."""

_UPPER, _LOWER = (..., slice(None, -1), slice(None)), (..., slice(1, None), slice(None))
_LEFT, _RIGHT = (..., slice(None, -1)), (..., slice(1, None))
_CORNERS = ((_UPPER, _LEFT), (_UPPER, _RIGHT), (_LOWER, _LEFT), (_LOWER, _RIGHT))
"""Which horizontal and which vertical cell edges meet at a corner: left-up, right-up, left-down,
right-down. The corner's normal is horizontal x vertical."""


def normals_loss(
    prediction: Aligned, target: Target, config: LossConfig, total: Total = alone
) -> Tensor:
    """pi3's normal loss on local points.

    Every 2x2 cell has four normals, one per corner, each from the two cell edges that meet there.
    The angle to the label's normal is clamped, smoothed near zero, zeroed where one of the corner's
    three pixels is invalid or a depth edge; the mean runs over all cells (four corners summed) and
    is divided by 4 max(H, W).
    """
    batch, frames, height, width = prediction.points.shape[1:]
    if height < 2 or width < 2:
        return prediction.points.sum() * 0.0
    with torch.no_grad():
        edge = _depth_edges(target, config.edge_tolerance)
        usable = torch.where(edge, 0.0, target.valid)
    angles = _AngleSum.apply(prediction.points, target.points, usable, config)
    cells = target.count.new_full((), batch * frames * (height - 1) * (width - 1))
    return angles / (total(cells).clamp_min(1) * (4 * max(height, width)))


class _AngleSum(torch.autograd.Function):
    """Sum over corners of mask * smoothed angle(normal of the points, normal of the label).

    The gradient is written out and computed along with the value: the chain is about 80 elementwise
    steps long, and through autograd it took most of the time of all losses together.
    """

    @staticmethod
    def forward(
        ctx: Any, points: Tensor, label: Tensor, usable: Tensor, config: LossConfig
    ) -> Tensor:
        edges, label_edges = cell_edges(points), cell_edges(label)
        gradients = tuple(torch.zeros_like(edge) for edge in edges)
        total = points.new_zeros(())
        for corner, mask in zip(_CORNERS, _corner_masks(usable), strict=True):
            unit = _unit(_cross(*_meeting(label_edges, corner)))
            a, b = _meeting(edges, corner)
            value, of_a, of_b = _angle_and_gradient(a, b, unit, mask, config)
            total += value
            for component, increment in zip(
                (*gradients[0][corner[0]], *gradients[1][corner[1]]), (*of_a, *of_b), strict=True
            ):
                component += increment
        ctx.save_for_backward(_gradient_of_points(points, *gradients))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return gradient * ctx.saved_tensors[0], None, None, None


def _angle_and_gradient(
    a: Vector, b: Vector, unit: Vector, mask: Tensor, config: LossConfig
) -> tuple[Tensor, Vector, Vector]:
    """The masked sum of smoothed angles between a x b and `unit`; its gradients for a and b."""
    normal, beta = _cross(a, b), config.normal_smoothing
    inverse = _dot(normal, normal).clamp_min_(_MIN_SQUARED_AREA).rsqrt_()
    cosine = _dot(normal, unit).mul_(inverse)
    # Clamping the cosine is clamping the angle, and keeps its sine away from zero.
    clamped = cosine.clamp(math.cos(config.normal_angle_max), math.cos(config.normal_angle_min))
    sine = clamped.square().neg_().add_(1).sqrt_()
    angle = torch.atan2(sine, clamped)  # several times faster than acos on a CPU
    below = angle.clamp_max(beta).mul_(mask)  # a masked corner has no angle
    # The smoothed angle is a^2 / 2b below b, a - b/2 above.
    value = (below * angle.sub_(below, alpha=0.5)).sum() / beta

    # d angle / d cosine = -1/sine; d cosine / d normal = (unit - cosine n) / |normal|.
    factor = below.mul_(inverse).div_(sine.mul_(-beta)).mul_(clamped == cosine)
    along = inverse.mul_(cosine).mul_(factor)
    x, y, z = (
        torch.addcmul(factor * u, along, n, value=-1) for u, n in zip(unit, normal, strict=True)
    )
    return value, _cross(b, (x, y, z)), _cross((x, y, z), a)


def _gradient_of_points(points: Tensor, horizontal: Tensor, vertical: Tensor) -> Tensor:
    """The adjoint of `cell_edges`."""
    gradient = torch.zeros_like(points)
    gradient[_RIGHT] += horizontal
    gradient[_LEFT] -= horizontal
    gradient[_LOWER] += vertical
    gradient[_UPPER] -= vertical
    return gradient


def cell_edges(points: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right neighbour [3, ..., H, W-1] and to the lower one [3, ..., H-1, W]."""
    return points[_RIGHT] - points[_LEFT], points[_LOWER] - points[_UPPER]


def _meeting(edges: tuple[Tensor, Tensor], corner: tuple) -> tuple[Vector, Vector]:
    """The horizontal and the vertical edge of every cell that meet at the corner."""
    return tuple(edges[0][corner[0]]), tuple(edges[1][corner[1]])


def _corner_masks(usable: Tensor) -> list[Tensor]:
    """[B, N, H-1, W-1] for each corner: are its pixel and both neighbours usable? 1 or 0."""
    top, bottom = usable[_UPPER], usable[_LOWER]
    lu, ru, ld, rd = top[_LEFT], top[_RIGHT], bottom[_LEFT], bottom[_RIGHT]
    return [lu * ru * ld, lu * ru * rd, ld * rd * lu, ld * rd * ru]


def _unit(normal: Vector) -> Vector:
    """Scaled to length 1; a degenerate normal becomes (nearly) zero: an angle of 90 degrees."""
    inverse = _dot(normal, normal).clamp_min_(_MIN_SQUARED_AREA).rsqrt_()
    x, y, z = (component.mul_(inverse) for component in normal)
    return x, y, z


def _cross(a: Vector, b: Vector) -> Vector:
    (ax, ay, az), (bx, by, bz) = a, b
    return (
        (ay * bz).addcmul_(az, by, value=-1),
        (az * bx).addcmul_(ax, bz, value=-1),
        (ax * by).addcmul_(ay, bx, value=-1),
    )


def _dot(a: Vector, b: Vector) -> Tensor:
    return (a[0] * b[0]).addcmul_(a[1], b[1]).addcmul_(a[2], b[2])


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
