"""Alignment of corresponding points by a similarity transform."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flow3r.geometry.precision import never_half
from flow3r.geometry.rotation import nearest_rotation

_MIN_POINTS = 3
_MIN_RELATIVE_SPREAD = 1e-12
"""Variance of the source, relative to its mean square, below which all points coincide."""


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + translation."""

    scale: Tensor  # [...]
    rotation: Tensor  # [..., 3, 3]
    translation: Tensor  # [..., 3]

    def apply(self, points: Tensor) -> Tensor:
        """Transform points [..., K, 3]."""
        rotated = points @ self.rotation.mT
        return self.scale[..., None, None] * rotated + self.translation[..., None, :]


@never_half
def umeyama(source: Tensor, target: Tensor, weight: Tensor | None = None) -> Similarity:
    """The similarity that minimises sum_k weight_k |s R source_k + t - target_k|^2.

    source and target [..., K, 3], weight [..., K] >= 0 (default: all ones). Umeyama 1991, with
    det R = +1 enforced. Computed in float64, returned in the dtype of `source`. Points of weight
    zero may hold any value, also NaN.

    Degenerate input: with fewer than three points of positive weight, or with all of them in one
    place, the rotation is the identity, the scale 1 and the translation the difference of the
    weighted means (zero without any point). Points on a line leave the rotation about that line
    open; one of the minimisers is returned.
    """
    dtype = source.dtype
    if weight is None:
        weight = source.new_ones(source.shape[:-1])
    used = weight[..., None] > 0
    x = torch.where(used, source, 0.0).double()
    y = torch.where(used, target, 0.0).double()
    w = weight.double()
    w = (w / w.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(w.dtype).tiny))[..., None]
    mean_x, mean_y = (w * x).sum(dim=-2), (w * y).sum(dim=-2)  # [..., 3]
    centred_x, centred_y = x - mean_x[..., None, :], y - mean_y[..., None, :]
    variance = (w * centred_x.square()).sum(dim=(-2, -1))
    covariance = (w * centred_y).mT @ centred_x  # [..., 3, 3], target source^T

    spread = variance > _MIN_RELATIVE_SPREAD * (w * x.square()).sum(dim=(-2, -1))
    usable = spread & (used[..., 0].sum(dim=-1) >= _MIN_POINTS)
    found = similarity_of_moments(mean_x, mean_y, covariance, variance, usable)
    return Similarity(found.scale.to(dtype), found.rotation.to(dtype), found.translation.to(dtype))


def similarity_of_moments(
    mean_x: Tensor,  # [..., 3] of the source
    mean_y: Tensor,  # [..., 3] of the target
    covariance: Tensor,  # [..., 3, 3] mean of (target - mean_y) (source - mean_x)^T
    variance: Tensor,  # [...] mean of |source - mean_x|^2
    usable: Tensor,  # [...] bool: enough points, and not all in one place
) -> Similarity:
    """The similarity of `umeyama` from sums over the points, which may be taken block by block.

    Where not `usable`: identity, scale 1 and the difference of the means.
    """
    identity = torch.eye(3, dtype=mean_x.dtype, device=mean_x.device)
    rotation = nearest_rotation(torch.where(usable[..., None, None], covariance, identity))
    trace = (rotation * covariance).sum(dim=(-2, -1))
    scale = torch.where(usable, trace / torch.where(usable, variance, 1.0), 1.0)
    translation = mean_y - scale[..., None] * (rotation @ mean_x[..., None])[..., 0]
    return Similarity(scale, rotation, translation)
