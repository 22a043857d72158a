"""What a model needs beyond pi3's losses if it predicts world points of its own (VGGT).

pi3 compares relative poses only, so its world may be any. A point head speaks of one world: the
camera of frame 0. The poses have to be told the same one.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from flow3r.geometry.precision import at_least_float32
from flow3r.losses.alignment import Aligned, Target
from flow3r.losses.reduction import Total, alone


def world_points_loss(
    points: Tensor,  # [B, N, H, W, 3] in the model's units
    prediction: Aligned,
    target: Target,
    total: Total = alone,
) -> Tensor:
    """Mean over the valid pixels of w |s p - g| with w = 1/z and the scale s of the local points;
    zero without any, as `points_loss`.
    """
    scaled = at_least_float32(points).movedim(-1, 0) * prediction.factor[:, None, None, None]
    rotation, translation = target.world_from_camera[..., :3, :3], target.world_from_camera[..., 3]
    expected = torch.einsum("bnij,jbnhw->ibnhw", rotation, target.points)
    expected = expected + translation[..., :3].movedim(-1, 0)[..., None, None]
    errors = (scaled - expected).abs().sum(dim=0) * (target.weight / 3)
    return errors.sum() / total(target.count.sum()).clamp_min(1)


def with_world_as_camera(prediction: Aligned, target: Target) -> tuple[Aligned, Target]:
    """Put one more camera before the frames: the world, at the identity.

    The relative poses then also compare every frame with the world.
    """
    pose = target.world_from_camera
    world = torch.eye(4, dtype=pose.dtype, device=pose.device).expand(len(pose), 1, 4, 4)
    return (
        replace(prediction, world_from_camera=torch.cat([world, prediction.world_from_camera], 1)),
        replace(target, world_from_camera=torch.cat([world, pose], 1)),
    )
