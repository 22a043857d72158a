"""Camera paths through a room: smooth, with real parallax, clear of walls and furniture."""

from __future__ import annotations

import numpy as np

from flow3r.data.world.config import WorldConfig
from flow3r.data.world.scene import Array, Room, rotation_about

_MARGIN = 0.35  # metres between a camera and the walls


def _look(yaw: float, pitch: float, roll: float) -> Array:
    """scene_from_camera rotation; yaw about the vertical, pitch > 0 looks up, roll clockwise."""
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    upright = np.stack([right, np.cross(forward, right), forward], axis=1)
    return upright @ rotation_about(np.array([0.0, 0.0, 1.0]), roll)


def _step(rng: np.random.Generator, previous: Array | None, config: WorldConfig) -> Array:
    """Displacement to the next camera: any direction, mostly level; later steps keep their course."""
    direction = rng.normal(size=3) * (1.0, 1.0, 0.45)
    if previous is not None:
        direction = 0.5 * direction + 1.2 * previous / np.linalg.norm(previous)
    direction /= np.linalg.norm(direction)
    return rng.uniform(*config.baseline) * direction


def draw_path(rng: np.random.Generator, room: Room, config: WorldConfig) -> Array | None:
    """scene_from_camera [N, 4, 4], or None where the drawn path leaves the free space."""
    free = room.half - _MARGIN
    position = rng.uniform(-1, 1, size=3) * free * (1.0, 1.0, 0.55)
    aim = rng.uniform(-0.75, 0.75, size=2) * room.half[:2]
    yaw = np.arctan2(*(aim - position[:2])[::-1])
    pitch, roll = rng.uniform(np.radians(-16), np.radians(6)), 0.0
    bend = np.radians(rng.uniform(*config.yaw))
    step = None
    positions, rotations = [position], [_look(yaw, pitch, roll)]
    for _ in range(config.frames - 1):
        step = _step(rng, step, config)
        position = position + step
        low, high = np.radians(config.yaw)
        yaw += np.clip(bend + rng.normal(0, 0.05) * (config.frames > 2), low, high)
        pitch += np.radians(rng.uniform(*config.pitch))
        roll += np.radians(rng.uniform(*config.roll))
        positions.append(position)
        rotations.append(_look(yaw, pitch, roll))
    if any(np.any(np.abs(p) > free) for p in positions):
        return None
    if _inside_static(room, np.stack(positions)):
        return None
    cameras = np.tile(np.eye(4), (config.frames, 1, 1))
    cameras[:, :3, :3] = rotations
    cameras[:, :3, 3] = positions
    return cameras


def _inside_static(room: Room, positions: Array) -> bool:
    """Whether a position lies in, or within 0.15 m of, a resting part's box."""
    for body in room.bodies:
        pose = body.pose[0]
        local = (positions - pose[:3, 3]) @ pose[:3, :3]
        for part in body.parts:
            q = local - np.array(part.centre)
            if part.rotation is not None:
                q = q @ part.rotation
            if np.any(np.all(np.abs(q) < np.array(part.half) + 0.15, axis=1)):
                return True
    return False
