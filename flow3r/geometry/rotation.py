"""Rotations from unconstrained matrices, with a backward that is finite everywhere."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from flow3r.geometry.precision import never_half

_RELATIVE_FLOOR = 1e-4
"""Lower bound of s_i + s_j in the backward, relative to the largest singular value. Only inputs at
the discontinuity of the projection (rank 1, or a reflection with equal smallest singular values)
come near it; there the true derivative is unbounded and a bounded one is returned."""
_ABSOLUTE_FLOOR = 1e-6
"""The same for the zero matrix, which has no scale of its own."""
_ROW_NORM_FLOOR = 1e-6
"""Rows shorter than this are not normalised to unit length (keeps the gradient bounded)."""
_SQUARE_FLOOR = 1e-8
"""Quaternions whose squared length is below this are not normalised, for the same reason."""


@never_half
def nearest_rotation(m: Tensor) -> Tensor:
    """The rotation R in SO(3) that minimises |R - m| in the Frobenius norm; [..., 3, 3] -> same.

    With m = U S V^T: R = U diag(1, 1, det(U V^T)) V^T (orthogonal Procrustes / Kabsch). Computed in
    float32 or float64, outside autocast. A matrix with a non-finite entry gives a NaN result, so
    that it reaches the check of the loss instead of failing inside LAPACK. First derivatives only.
    """
    return _NearestRotation.apply(m)


@never_half
def rotation_from_nine(x: Tensor) -> Tensor:
    """Nine numbers to a rotation as pi3's camera head does it; [..., 9] -> [..., 3, 3].

    Row-major 3x3, each row scaled to unit length, then the nearest rotation.
    """
    rows = F.normalize(x.unflatten(-1, (3, 3)), dim=-1, eps=_ROW_NORM_FLOOR)
    return nearest_rotation(rows)


@never_half
def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """Quaternions (x, y, z, w) of any length but zero to rotations; [..., 4] -> [..., 3, 3].

    A vanishing quaternion gives a matrix near the identity, with a bounded gradient.
    """
    square = quaternion.square().sum(dim=-1)
    i, j, k, r = quaternion.unbind(dim=-1)
    double = 2 / square.clamp_min(_SQUARE_FLOOR)
    x, y, z = double * i, double * j, double * k
    rows = [
        [1 - (y * j + z * k), x * j - z * r, x * k + y * r],
        [x * j + z * r, 1 - (x * i + z * k), y * k - x * r],
        [x * k - y * r, y * k + x * r, 1 - (x * i + y * j)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


class _NearestRotation(torch.autograd.Function):
    """Polar factor with sign, m = R P with P symmetric.

    Differentiating m = R P with dR = R W, W antisymmetric, gives
    W P + P W = R^T dm - dm^T R. In the basis V of right singular vectors P is
    p = (s_1, s_2, d s_3), so W_ij = (V^T (R^T dm - dm^T R) V)_ij / (p_i + p_j): only sums of
    singular values appear, while autograd through the SVD divides by their differences, which
    vanish at the identity. The adjoint of this map is the backward below.
    """

    @staticmethod
    def forward(ctx: Any, m: Tensor) -> Tensor:
        finite = torch.isfinite(m).all(dim=-1, keepdim=True).all(dim=-2, keepdim=True)
        safe = torch.where(finite, m, torch.eye(3, dtype=m.dtype, device=m.device))
        u, s, vh = torch.linalg.svd(safe)
        sign = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0).to(m.dtype)
        p = torch.cat([s[..., :2], s[..., 2:] * sign[..., None]], dim=-1)
        u = torch.cat([u[..., :2], u[..., 2:] * sign[..., None, None]], dim=-1)
        rotation = u @ vh
        ctx.save_for_backward(rotation, p, vh)
        return torch.where(finite, rotation, torch.nan)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        rotation, p, vh = ctx.saved_tensors
        return _backward(gradient.to(rotation.dtype), rotation, p, vh)


@never_half
def _backward(gradient: Tensor, rotation: Tensor, p: Tensor, vh: Tensor) -> Tensor:
    v = vh.mT
    inner = rotation.mT @ gradient
    inner = vh @ (inner - inner.mT) @ v
    floor = (_RELATIVE_FLOOR * p[..., :1, None]).clamp_min(_ABSOLUTE_FLOOR)
    # p_i + p_j >= 0 off the diagonal (p is sorted by magnitude, only the smallest is negative);
    # the diagonal of `inner` is zero, so what divides it does not matter.
    sums = torch.maximum(p[..., :, None] + p[..., None, :], floor)
    return rotation @ v @ (inner / sums) @ vh
