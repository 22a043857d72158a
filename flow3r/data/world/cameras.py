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
    down = np.array(
        [
            np.cos(yaw) * np.sin(pitch),
            np.sin(yaw) * np.sin(pitch),
            -np.cos(pitch),
        ]
    )
    upright = np.stack([right, down, forward], axis=1)
    return upright @ rotation_about(np.array([0.0, 0.0, 1.0]), roll)


def _step(rng: np.random.Generator, previous: Array | None, config: WorldConfig) -> Array:
    """Displacement to the next camera: mostly level; later steps keep their course."""
    direction = rng.normal(size=3) * (1.0, 1.0, 0.45)
    if previous is not None:
        direction = 0.5 * direction + 1.2 * previous / np.linalg.norm(previous)
    direction /= np.linalg.norm(direction)
    return rng.uniform(*config.baseline) * direction


def draw_path(
    rng: np.random.Generator,
    room: Room,
    boxes: tuple[Array, Array, Array],
    field_of_view: float,
    config: WorldConfig,
) -> Array | None:
    """scene_from_camera [N, 4, 4], or None where the drawn path leaves the free space or turns so
    far that hardly anything could be seen twice. `boxes` are the room's `part_boxes`."""
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
    path = np.stack(positions)
    if np.any(np.abs(path) > free):
        return None
    cameras = np.tile(np.eye(4), (config.frames, 1, 1))
    cameras[:, :3, :3] = rotations
    cameras[:, :3, 3] = path
    if _turns_away(cameras, field_of_view, config) or _inside_static(boxes, path):
        return None
    return cameras


def _turns_away(cameras: Array, field_of_view: float, config: WorldConfig) -> bool:
    """Whether two frames that should share a view look too far apart: a cheap guess that spares the
    exact test, stricter the further the cameras are from each other."""
    forward, position = cameras[:, :3, 2], cameras[:, :3, 3]
    order = np.arange(len(cameras))
    matter = np.abs(order[:, None] - order) <= config.covisible_span
    distance = np.linalg.norm(position[:, None] - position, axis=-1)
    angle = np.arccos(np.clip(forward @ forward.T, -1, 1))
    bound = np.maximum(0.75 - 0.2 * distance, 0.1) * field_of_view
    return bool(np.any((angle > bound) & matter))


def _inside_static(boxes: tuple[Array, Array, Array], positions: Array) -> bool:
    """Whether a position lies in, or within 0.15 m of, a resting part's box."""
    rotation, centre, half = boxes
    offset = positions[:, None] - centre  # [N, parts, 3]
    q = np.einsum("npi,pij->npj", offset, rotation)
    return bool(np.any(np.all(np.abs(q) < half + 0.15, axis=-1)))
