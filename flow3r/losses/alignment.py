"""What prediction and labels are compared in: normalised units, one scale per clip (pi3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flow3r.data.clip import LabelledClips
from flow3r.geometry.camera import unproject
from flow3r.geometry.scale import optimal_scale
from flow3r.geometry.se3 import inverse, make_transform
from flow3r.losses.config import LossConfig
from flow3r.model.outputs import Geometry

_TINY = 1e-6


@dataclass(frozen=True)
class Target:
    """Labels in normalised units."""

    local_points: Tensor  # [B, N, H, W, 3], zero where invalid
    valid: Tensor  # [B, N, H, W] bool
    weight: Tensor  # [B, N, H, W], 1/z, zero where invalid
    world_from_camera: Tensor  # [B, N, 4, 4]; world = the camera of frame 0


@dataclass(frozen=True)
class Aligned:
    """A prediction brought to the units of its target."""

    local_points: Tensor  # [B, N, H, W, 3]
    world_from_camera: Tensor  # [B, N, 4, 4]


@torch.no_grad()
def normalised_target(clips: LabelledClips, config: LossConfig) -> Target:
    """Move the labels to frame 0 and divide lengths by the mean point distance from its origin.

    A clip without any valid depth keeps its units.
    """
    valid = (clips.depth > 0) & torch.isfinite(clips.depth)
    depth = torch.where(valid, clips.depth, 0.0)
    local = unproject(depth, clips.intrinsics)
    world = inverse(clips.world_from_camera[:, :1]) @ clips.world_from_camera
    count = valid.flatten(1).sum(dim=1)
    norm = (_distance_to_origin(local, world) * valid).flatten(1).sum(dim=1) / count.clamp_min(1)
    norm = torch.where(count > 0, norm, 1.0)
    depth = depth / norm[:, None, None, None]
    mean_depth = depth.sum(dim=(2, 3)) / valid.sum(dim=(2, 3)).clamp_min(1)
    floor = config.depth_floor * mean_depth[..., None, None]
    return Target(
        local / norm[:, None, None, None, None],
        valid,
        valid / (torch.maximum(depth, floor) + _TINY),
        make_transform(world[..., :3, :3], world[..., :3, 3] / norm[:, None, None]),
    )


def aligned_prediction(geometry: Geometry, target: Target, config: LossConfig) -> Aligned:
    """Normalise the prediction by its own mean distance, then apply the optimal scale.

    The mean distance is that of the valid local points to their own camera (pi3; the labels use the
    distance to frame 0); its gradient is kept. The optimal scale is a constant (see
    `optimal_scale`); a negative one is made positive, as in pi3.
    """
    points, pose = geometry.local_points.float(), geometry.world_from_camera.float()
    count = target.valid.flatten(1).sum(dim=1)
    distance = _length(points)
    mean = torch.where(target.valid, distance, 0.0).flatten(1).sum(dim=1) / count.clamp_min(1)
    mean = torch.where(count > 0, mean, 1.0).clamp_min(_TINY)
    scale = _sampled_scale(points, target, config.scale_samples)
    # `scale` fits the points before the division by `mean`; scale * mean fits them after it.
    factor = (scale * mean).detach() / mean
    return Aligned(
        points * factor[:, None, None, None, None],
        make_transform(pose[..., :3, :3], pose[..., :3, 3] * factor[:, None, None]),
    )


@torch.no_grad()
def _sampled_scale(points: Tensor, target: Target, samples: int) -> Tensor:
    """[B] the optimal scale from at most `samples` pixels per clip, at an even stride.

    pi3 strides over the valid pixels of a clip, here the stride is over all of them and invalid
    ones weigh nothing: the same for dense labels, fewer effective samples for sparse ones, and the
    same indices for every clip, so no loop and no host synchronisation.
    """
    p, g, w = points.flatten(1, 3), target.local_points.flatten(1, 3), target.weight.flatten(1)
    total = w.shape[1]
    if total > samples:
        index = torch.arange(samples, device=w.device) * total // samples
        p, g, w = p[:, index], g[:, index], w[:, index]
    return optimal_scale(p, g, w).abs()


def _length(points: Tensor) -> Tensor:
    """Norm over the last dimension, with gradient zero at the origin."""
    x, y, z = points.unbind(dim=-1)
    return (x * x + y * y + z * z + _TINY**2).sqrt()


def _distance_to_origin(local: Tensor, world_from_camera: Tensor) -> Tensor:
    """[B, N, H, W] distance of local points to the world's origin."""
    # |R p + t| = |p + R^T t|: no need to rotate every point.
    back = world_from_camera[..., :3, :3].mT @ world_from_camera[..., :3, 3:]  # [B, N, 3, 1]
    return _length(local + back[..., 0][:, :, None, None])
