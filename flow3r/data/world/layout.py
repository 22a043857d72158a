"""The static part of a scene: walls, pictures, furniture along the walls, a few objects, lamps."""

from __future__ import annotations

import numpy as np

from flow3r.data.world.domains import Domain
from flow3r.data.world.furniture import FURNITURE, SHAPES, scaled
from flow3r.data.world.materials import sample_material
from flow3r.data.world.scene import (
    BOX,
    Array,
    Body,
    Part,
    Room,
    make_pose,
    random_rotation,
    yaw_rotation,
)

Rng = np.random.Generator

_SMALL = 96  # pixels; below this a scene gets fewer things, as most would be a pixel or two


def draw_room(rng: Rng, domain: Domain, pixels: int, objects: int, first_identity: int) -> Room:
    """A room for images of about `pixels` pixels, with `objects` resting objects."""
    room = Room(half=rng.uniform((2.0, 2.0, 1.25), (3.2, 3.2, 1.6)))
    _paper(rng, room, domain)
    large = pixels >= _SMALL
    taken: list[tuple[Array, float]] = []
    _furnish(rng, room, domain, 4 if large else 2, taken)
    _hang_pictures(rng, room, domain, 7 if large else 4)
    _scatter(rng, room, domain, objects, first_identity, taken)
    return room


def add_lamps(rng: Rng, room: Room, fewest: int, most: int) -> None:
    """One to four lamps below the ceiling, the first the brightest, and the ambient light."""
    count = int(rng.integers(fewest, most + 1))
    warmth = rng.uniform(-0.12, 0.18)
    lamps = np.zeros((count, 6))
    for i in range(count):
        lamps[i, :2] = rng.uniform(-0.75, 0.75, size=2) * room.half[:2]
        lamps[i, 2] = room.half[2] - rng.uniform(0.08, 0.4)
        tint = warmth + rng.normal(0, 0.04)
        power = rng.uniform(1.1, 1.9) if i == 0 else rng.uniform(0.4, 0.8)
        lamps[i, 3:] = power * np.array([1 + tint, 1.0, 1 - tint])
    room.lamps = lamps
    level = rng.uniform(0.22, 0.45)
    cool = rng.uniform(-0.08, 0.08)
    room.ambient = level * np.array([1 - cool, 1.0, 1 + cool])


def _paper(rng: Rng, room: Room, domain: Domain) -> None:
    """Materials of the six faces: walls of one or two kinds, floor, ceiling."""
    families = list(domain.families)
    wall_family = families[rng.integers(len(families))]
    if domain.required_families:
        wall_family = domain.required_families[rng.integers(len(domain.required_families))]
    wall = sample_material(rng, domain, "wall", wall_family)
    other = sample_material(rng, domain, "wall")
    accent = int(rng.integers(5))
    for face in range(4):
        room.add_material(other if face == accent else wall)
    room.add_material(sample_material(rng, domain, "floor"))
    room.add_material(sample_material(rng, domain, "ceiling"))


def _wall_pose(room: Room, wall: int, along: float, inset: float, height: float) -> Array:
    """Pose against a wall (0 -x, 1 +x, 2 -y, 3 +y) whose +y axis points into the wall."""
    axis, sign = divmod(wall, 2)
    sign = 2 * sign - 1
    position = np.zeros(3)
    position[axis] = sign * (room.half[axis] - inset)
    position[1 - axis] = along
    position[2] = height
    angle = {(0, 1): -np.pi / 2, (0, -1): np.pi / 2, (1, 1): 0.0, (1, -1): np.pi}[(axis, sign)]
    return make_pose(yaw_rotation(angle), position)


def _extent(parts: list[Part]) -> Array:
    """Largest |coordinate| per axis of the parts' boxes."""
    return np.max([np.abs(p.centre) + np.array(p.half) for p in parts], axis=0)


def _furnish(rng: Rng, room: Room, domain: Domain, count: int, taken: list) -> None:
    """Furniture along the walls; what overlaps something placed before is moved, then left out."""
    kinds = rng.permutation(domain.furniture)
    for n in range(count):
        a, b = (room.add_material(sample_material(rng, domain, "furniture")) for _ in range(2))
        parts = FURNITURE[kinds[n % len(kinds)]](rng, a, b)
        width, depth, _ = _extent(parts)
        reach = float(np.hypot(width, depth))
        for _ in range(8):
            wall = int(rng.integers(4))
            space = room.half[1 - wall // 2] - width - 0.05
            inset = depth + 0.03 + rng.uniform(0.0, 0.15)
            pose = _wall_pose(room, wall, rng.uniform(-space, space), inset, -room.half[2])
            if all(np.linalg.norm(pose[:2, 3] - p) > reach + r for p, r in taken):
                taken.append((pose[:2, 3], reach))
                room.bodies.append(Body(parts, pose[None], 0))
                break


def _hang_pictures(rng: Rng, room: Room, domain: Domain, count: int) -> None:
    """Framed pictures, spread over the walls so that no wall is bare."""
    for n in range(count):
        wall = n % 4
        w, h = rng.uniform(0.3, 0.65), rng.uniform(0.25, 0.45)
        space = room.half[1 - wall // 2] - w - 0.1
        side = rng.uniform(0.1, 1.0) * (1 if n < 4 else -1) if count > 4 else rng.uniform(-1, 1)
        height = rng.uniform(-0.1, max(0.0, room.half[2] - h - 0.15))
        picture = room.add_material(sample_material(rng, domain, "picture"))
        parts = [Part(BOX, (w, 0.025, h), (0.0, 0.0, 0.0), picture)]
        if count > 4:
            frame = room.add_material(sample_material(rng, domain, "picture"))
            parts.append(Part(BOX, (w + 0.04, 0.015, h + 0.04), (0.0, 0.0, 0.0), frame))
        room.bodies.append(Body(parts, _wall_pose(room, wall, side * space, 0.02, height)[None], 0))


def draw_object(
    rng: Rng, room: Room, domain: Domain, size: float, shape: str | None = None
) -> list[Part]:
    """Parts of an object of bounding radius about `size`; a shape of the domain unless given."""
    shape = shape or domain.shapes[rng.integers(len(domain.shapes))]
    a, b = (room.add_material(sample_material(rng, domain, "object")) for _ in range(2))
    return scaled(SHAPES[shape](rng, a, b), size)


def _scatter(
    rng: Rng, room: Room, domain: Domain, count: int, first_identity: int, taken: list
) -> None:
    """Objects on the floor or hanging in the room's inner part, in any orientation."""
    for n in range(count):
        size = rng.uniform(0.28, 0.5)
        shape = domain.required_shape if n == 0 else None
        parts = draw_object(rng, room, domain, size, shape)
        for _ in range(8):
            spot = rng.uniform(-1, 1, size=2) * (room.half[:2] - size - 0.1)
            if all(np.linalg.norm(spot - p) > 0.8 * (size + r) for p, r in taken):
                break
        taken.append((spot, size))
        low, high = -room.half[2] + 0.75 * size, room.half[2] - size - 0.3
        height = low if rng.uniform() < 0.6 else rng.uniform(low, max(low, 0.6 * high))
        pose = make_pose(random_rotation(rng), np.array([*spot, height]))
        room.bodies.append(Body(parts, pose[None], first_identity + n))
