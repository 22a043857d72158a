"""Exact flow and covisibility between frames."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.data.world.pack import PackedScenes
from flow3r.data.world.raycast import Group, apply_rows, blocked

_TOLERANCE = 2e-3  # metres; how far in front of the point the target's ray may meet the surface
_NEAREST = 0.05  # metres; nearer to the target's image plane counts as out of view


def _transfer(packed: PackedScenes, scene: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """World to world [G, K + 1, 12]: where a part's points at the source time are at the target's.

    Composed in float64: float32 would cost accuracy twice.
    """
    poses = packed.world_from_part
    scene, source, target = scene.cpu(), source.cpu(), target.cpu()
    move = poses[scene, target] @ torch.linalg.inv(poses[scene, source])
    rows = torch.cat([move[..., :3, :3].flatten(-2), move[..., :3, 3]], dim=-1)
    return rows.to(dtype=torch.float32, device=packed.centre.device)


def camera_rays(packed: PackedScenes, pixels: Tensor) -> tuple[Group, Tensor, Tensor]:
    """Rays through `pixels` of every frame, groups ordered scene by scene.

    `pixels` is [2, R], the same for all groups, or [2, G, R].

    Returns the groups (G = S * N), unit world directions [3, G, R], and the z component [G, R] of
    the unit direction in camera coordinates (depth = distance * z).
    """
    device = packed.centre.device
    scenes, frames = packed.scenes, packed.frames
    scene = torch.arange(scenes, device=device).repeat_interleave(frames)
    frame = torch.arange(frames, device=device).repeat(scenes)
    k = packed.intrinsics[scene]  # [G, 3, 3]
    x = (pixels[0] - k[:, 0, 2, None]) / k[:, 0, 0, None]
    y = (pixels[1] - k[:, 1, 2, None]) / k[:, 1, 1, None]
    z = 1.0 / (x * x + y * y + 1.0).sqrt()
    pose = packed.world_from_camera[scene, frame]
    rotation = pose[:, :3, :3].reshape(-1, 1, 9)
    directions = torch.stack(apply_rows(rotation, (x * z, y * z, z)))
    return Group(scene, frame, pose[:, :3, 3]), directions, z


def pair_truth(
    packed: PackedScenes,
    scene: Tensor,
    pairs: Tensor,
    point: Tensor,
    slot: Tensor,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Flow and covisibility of Q (scene, pair) combinations.

    scene [Q]; pairs [Q, 2] (source, target); point [3, Q, R] world coordinates of the source
    pixels' surface points and slot [Q, R] their parts; size (height, width) of the images.
    Returns target_px [Q, R, 2] and covisibility [Q, R] in {0, 1}: 1 where the surface point, moved
    to the target time, lies in the target image and is the first thing met by the target camera's
    ray through its exact sub-pixel position.
    """
    source, target = pairs.unbind(1)
    move = _transfer(packed, scene, source, target)  # [Q, K + 1, 12]
    slots = packed.slots + 1
    flat = (torch.arange(len(scene), device=slot.device)[:, None] * slots + slot).reshape(-1)
    m = [c.index_select(0, flat).view(slot.shape) for c in move.reshape(-1, 12).t().contiguous()]
    p = point
    moved = torch.stack(
        [m[i] * p[0] + m[i + 1] * p[1] + m[i + 2] * p[2] + m[9 + i // 3] for i in (0, 3, 6)]
    )
    pose = packed.world_from_camera[scene, target]
    ray = moved - pose[:, :3, 3].t()[:, :, None]
    inverse = pose[:, :3, :3].transpose(1, 2).reshape(-1, 1, 9)
    x, y, z = apply_rows(inverse, ray.unbind(0))
    k = packed.intrinsics[scene]
    depth = z.clamp(min=_NEAREST)
    u = x / depth * k[:, 0, 0, None] + k[:, 0, 2, None]
    v = y / depth * k[:, 1, 1, None] + k[:, 1, 2, None]
    height, width = size
    seen = (z > _NEAREST) & (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5)
    distance = (ray[0] ** 2 + ray[1] ** 2 + ray[2] ** 2).sqrt().clamp(min=1e-6)
    group = Group(scene, target, pose[:, :3, 3])
    hidden = blocked(packed, group, ray / distance, distance - _TOLERANCE, seen)
    return torch.stack([u, v], dim=-1), (seen & ~hidden).float()


def ordered_pairs(frames: int, span: int) -> list[tuple[int, int]]:
    """All ordered pairs of different frames at most `span` apart."""
    return [(a, b) for a in range(frames) for b in range(frames) if a != b and abs(a - b) <= span]
