"""Camera losses on the relative poses of all ordered pairs of frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flow3r.geometry.se3 import relative_pose, rotation_angle
from flow3r.losses.alignment import Aligned, Target
from flow3r.losses.config import LossConfig
from flow3r.losses.reduction import Total, alone


@dataclass(frozen=True)
class RelativePoses:
    """Relative poses of all ordered pairs i != j, in normalised and aligned units."""

    predicted: Tensor  # [B, N(N-1), 4, 4]
    target: Tensor  # [B, N(N-1), 4, 4]
    has_scale: Tensor  # [B, 1] bool; False for clips without any valid depth


def relative_poses(prediction: Aligned, target: Target) -> RelativePoses:
    """camera_i_from_camera_j for every ordered pair i != j."""
    frames = target.world_from_camera.shape[1]
    # Row-major N x N without its diagonal, built on the device (no host synchronisation).
    flat = torch.arange(1, frames * frames, device=target.count.device)
    flat = flat.reshape(frames - 1, frames + 1)[:, :-1].flatten()
    i, j = flat // frames, flat % frames
    predicted, labelled = prediction.world_from_camera, target.world_from_camera
    return RelativePoses(
        relative_pose(predicted[:, i], predicted[:, j]),
        relative_pose(labelled[:, i], labelled[:, j]),
        target.count[:, None] > 0,
    )


def rotation_loss(poses: RelativePoses, total: Total = alone) -> Tensor:
    """Mean geodesic angle in radians; zero without pairs.

    pi3 clamps the cosine to 1 - 1e-6, which floors the angle at 0.08 degrees; here it is exact.
    """
    difference = poses.predicted[..., :3, :3].mT @ poses.target[..., :3, :3]
    pairs = difference.new_full((), difference.shape[:2].numel())
    return rotation_angle(difference).sum() / total(pairs).clamp_min(1)


def translation_loss(poses: RelativePoses, config: LossConfig, total: Total = alone) -> Tensor:
    """Huber loss of the translations, mean over pairs and coordinates (pi3).

    Clips without any valid depth have no scale to compare in and do not count.
    """
    error = F.huber_loss(
        poses.predicted[..., :3, 3],
        poses.target[..., :3, 3],
        reduction="none",
        delta=config.translation_huber,
    ).mean(dim=-1)
    return _masked_mean(error, poses.has_scale.expand_as(error), total)


def translation_direction_loss(
    poses: RelativePoses, config: LossConfig, total: Total = alone
) -> Tensor:
    """Mean of 1 - cos between true and predicted translation, over pairs that have a direction."""
    predicted, target = poses.predicted[..., :3, 3], poses.target[..., :3, 3]
    floor = config.direction_min_length
    length = torch.linalg.vector_norm(target, dim=-1)
    softened = (predicted.square().sum(dim=-1) + floor**2).sqrt()
    cosine = (predicted * target).sum(dim=-1) / (softened * length.clamp_min(floor))
    return _masked_mean(1 - cosine, length > floor, total)


def _masked_mean(values: Tensor, mask: Tensor, total: Total) -> Tensor:
    return torch.where(mask, values, 0.0).sum() / total(mask.sum()).clamp_min(1)
