"""Rigid transforms as 4x4 matrices. `a_from_b` maps coordinates in frame b to frame a."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.geometry.precision import never_half


@never_half
def make_transform(rotation: Tensor, translation: Tensor) -> Tensor:
    """[..., 3, 3] and [..., 3] (equal leading shape) to [..., 4, 4]."""
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = torch.eye(4, dtype=top.dtype, device=top.device)[3:].expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


@never_half
def inverse(transform: Tensor) -> Tensor:
    """Inverse of a rigid transform [..., 4, 4], by transposing the rotation."""
    rotation = transform[..., :3, :3].mT
    return make_transform(rotation, -(rotation @ transform[..., :3, 3:])[..., 0])


@never_half
def transform_points(transform: Tensor, points: Tensor) -> Tensor:
    """Apply [..., 4, 4] to points [..., K, 3]; leading dimensions broadcast."""
    return points @ transform[..., :3, :3].mT + transform[..., None, :3, 3]


@never_half
def relative_pose(world_from_a: Tensor, world_from_b: Tensor) -> Tensor:
    """`a_from_b` of two poses [..., 4, 4]; leading dimensions broadcast."""
    return inverse(world_from_a) @ world_from_b


@never_half
def rotation_angle(rotation: Tensor) -> Tensor:
    """Geodesic angle in [0, pi] radians of rotations [..., 3, 3] -> [...].

    atan2(|axial part|, (trace - 1) / 2) instead of acos((trace - 1) / 2): the same angle, but
    accurate to rounding also near 0 and pi, and with a gradient of bounded size everywhere (zero at
    exactly 0 and pi, where the angle has a kink).
    """
    axial = torch.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        dim=-1,
    )
    trace = rotation.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return torch.atan2(torch.linalg.vector_norm(axial, dim=-1), trace - 1)
