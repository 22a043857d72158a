"""What prediction and labels are compared in: normalised units, one scale per clip (pi3).

Points here have the coordinate as the *first* dimension, [3, B, N, H, W]: on a CPU elementwise
kernels are five to ten times faster on contiguous components than on interleaved ones, and the
losses are nothing but elementwise kernels. Masks are multiplied in for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from flow3r.data.clip import LabelledClips
from flow3r.geometry.camera import pixel_rays
from flow3r.geometry.precision import at_least_float32
from flow3r.geometry.scale import optimal_scale
from flow3r.geometry.se3 import inverse, make_transform
from flow3r.losses.config import LossConfig
from flow3r.model.outputs import Geometry

_TINY = 1e-6


@dataclass(frozen=True)
class Target:
    """Labels in normalised units."""

    points: Tensor  # [3, B, N, H, W] in camera axes, zero where invalid
    valid: Tensor  # [B, N, H, W], 1 or 0
    weight: Tensor  # [B, N, H, W], 1/z, zero where invalid
    world_from_camera: Tensor  # [B, N, 4, 4]; world = the camera of frame 0
    count: Tensor  # [B], number of valid pixels


@dataclass(frozen=True)
class Aligned:
    """A prediction brought to the units of its target."""

    points: Tensor  # [3, B, N, H, W] in camera axes
    world_from_camera: Tensor  # [B, N, 4, 4]
    factor: Tensor  # [B], from the model's units of length to the target's


@torch.no_grad()
def normalised_target(clips: LabelledClips, config: LossConfig) -> Target:
    """Move the labels to frame 0 and divide lengths by the mean point distance from its origin.

    A pixel is valid if its depth is positive and finite. A clip without any keeps its units.
    """
    depth = clips.depth.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp_min(0)
    valid = (depth > 0).to(depth.dtype)
    per_frame = valid.sum(dim=(2, 3))  # [B, N]
    count = per_frame.sum(dim=1)
    x, y = pixel_rays(clips.intrinsics, *depth.shape[-2:])
    points = torch.stack([x * depth, y * depth, depth])
    world = inverse(clips.world_from_camera[:, :1]) @ clips.world_from_camera
    distance = _length(points + _camera_centre_seen_back(world)) * valid
    norm = distance.sum(dim=(1, 2, 3)) / count.clamp_min(1)
    norm = torch.where(count > 0, norm, 1.0)
    depth = depth / norm[:, None, None, None]
    floor = config.depth_floor * depth.sum(dim=(2, 3)) / per_frame.clamp_min(1)
    return Target(
        points=points / norm[:, None, None, None],
        valid=valid,
        weight=valid / (torch.maximum(depth, floor[..., None, None]) + _TINY),
        world_from_camera=make_transform(
            world[..., :3, :3], world[..., :3, 3] / norm[:, None, None]
        ),
        count=count,
    )


def aligned_prediction(geometry: Geometry, target: Target, config: LossConfig) -> Aligned:
    """Normalise the prediction by its own mean distance, then apply the optimal scale.

    The mean distance is that of the valid local points to their own camera (pi3; the labels use the
    distance to frame 0); its gradient is kept. The optimal scale is a constant (see
    `optimal_scale`); a negative one is made positive, as in pi3.
    """
    points = at_least_float32(geometry.local_points).movedim(-1, 0).contiguous()
    pose = at_least_float32(geometry.world_from_camera)
    mean = _MeanLength.apply(points, target.valid, target.count)
    mean = torch.where(target.count > 0, mean, 1.0).clamp_min(_TINY)
    scale = _sampled_scale(points, target, config.scale_samples)
    # `scale` fits the points before the division by `mean`; scale * mean fits them after it.
    factor = (scale * mean).detach() / mean
    return Aligned(
        points * factor[:, None, None, None],
        make_transform(pose[..., :3, :3], pose[..., :3, 3] * factor[:, None, None]),
        factor,
    )


@torch.no_grad()
def _sampled_scale(points: Tensor, target: Target, samples: int) -> Tensor:
    """[B] the optimal scale from at most `samples` pixels per clip, at an even stride.

    pi3 strides over the valid pixels of a clip, here the stride is over all of them and invalid
    ones weigh nothing: the same for dense labels, fewer effective samples for sparse ones, and the
    same indices for every clip, so no loop and no host synchronisation.
    """
    p, g, w = points.flatten(2), target.points.flatten(2), target.weight.flatten(1)
    total = w.shape[1]
    if total > samples:
        index = torch.arange(samples, device=w.device) * total // samples
        p, g, w = p[:, :, index], g[:, :, index], w[:, index]
    return optimal_scale(p.movedim(0, -1), g.movedim(0, -1), w).abs()


class _MeanLength(torch.autograd.Function):
    """[B] mean norm of the valid points; the gradient p/|p| (zero at the origin) written out."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, valid: Tensor, count: Tensor) -> Tensor:
        length = _length(points)
        count = count.clamp_min(1)
        ctx.save_for_backward(points, valid / (length * count[:, None, None, None]))
        return (length * valid).sum(dim=(1, 2, 3)) / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        points, share = ctx.saved_tensors
        return points * (share * gradient[:, None, None, None]), None, None


def _length(points: Tensor) -> Tensor:
    """[B, N, H, W] norm of points [3, B, N, H, W]."""
    x, y, z = points
    return torch.addcmul(torch.addcmul(x * x + _TINY**2, y, y), z, z).sqrt()


def _camera_centre_seen_back(world_from_camera: Tensor) -> Tensor:
    """[3, B, N, 1, 1] the vector R^T t: |R p + t| = |p + R^T t|, so no point need be rotated."""
    back = world_from_camera[..., :3, :3].mT @ world_from_camera[..., :3, 3:]
    return back[..., 0].movedim(-1, 0)[..., None, None]
