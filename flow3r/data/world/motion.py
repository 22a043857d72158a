"""Rigidly moving objects, placed where the cameras look."""

from __future__ import annotations

import numpy as np

from flow3r.data.world.config import WorldConfig
from flow3r.data.world.domains import Domain
from flow3r.data.world.layout import draw_object
from flow3r.data.world.scene import Array, Body, Room, make_pose, random_rotation, rotation_about

Rng = np.random.Generator


def _poses(rng: Rng, start: Array, config: WorldConfig) -> Array:
    """scene_from_body [N, 4, 4]: a straight drift and a steady turn that ease out on long clips."""
    heading = rng.normal(size=3) * (1.0, 1.0, 0.3)
    velocity = rng.uniform(*config.object_speed) * heading / np.linalg.norm(heading)
    axis = rng.normal(size=3) * (0.4, 0.4, 1.0)
    axis /= np.linalg.norm(axis)
    turn = np.radians(rng.uniform(*config.object_turn))
    rotation = random_rotation(rng)
    poses = []
    for frame in range(config.frames):
        # About one step per frame near the middle; a swing, so that nothing leaves the room.
        time = 2.5 * np.sin((frame - (config.frames - 1) / 2) / 2.5)
        poses.append(
            make_pose(rotation_about(axis, turn * time) @ rotation, start + velocity * time)
        )
    return np.stack(poses)


def draw_movers(
    rng: Rng, room: Room, cameras: Array, field_of_view: float, domain: Domain, config: WorldConfig
) -> list[Body] | None:
    """Two to four moving bodies that together cover about the wanted share of the image.

    None where one would come closer than 0.3 m to a camera. Materials are added to the room.
    """
    count = int(rng.integers(2, 5))
    share = rng.uniform(*config.moving_share) * rng.uniform(1.2, 2.0)
    parts_of_share = rng.dirichlet(np.full(count, 4.0)) * share
    middle = cameras[len(cameras) // 2]
    tangent = np.tan(field_of_view / 2)
    aspect = config.height / config.width
    drawn = []
    for n in range(count):
        depth = rng.uniform(0.9, 2.2)
        x, y = rng.uniform(-0.7, 0.7, size=2) * tangent * (1.0, aspect) * depth
        start = middle[:3, :3] @ np.array([x, y, depth]) + middle[:3, 3]
        size = depth * np.sqrt(parts_of_share[n] * 4 * tangent**2 * aspect / 1.4)
        size = float(np.clip(size, 0.2, 0.95))
        if rng.uniform() < 0.4:  # this one slides over the floor
            start[2] = min(start[2], -room.half[2] + 0.8 * size)
        limit = room.half - 0.55 * size
        poses = _poses(rng, np.clip(start, -limit, limit), config)
        if np.min(np.linalg.norm(poses[:, :3, 3] - cameras[:, :3, 3], axis=1)) < size + 0.3:
            return None
        drawn.append((poses, size))
    movers = []
    for n, (poses, size) in enumerate(drawn):
        shape = domain.required_shape if n == 0 else None
        parts = draw_object(rng, room, domain, size, shape)
        movers.append(Body(parts, poses, n + 1, moving=True))
    return movers
