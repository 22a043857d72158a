"""What a scene is made of: parts (primitives), bodies (rigid groups of parts), lamps, the room.

Scene coordinates while a scene is drawn: metres, z up, origin at the room's centre. Everything is
re-expressed in the first camera's frame when it is packed for rendering.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BOX, ELLIPSOID, CYLINDER, TUBE, BOWL = range(5)
KINDS = (BOX, ELLIPSOID, CYLINDER, TUBE, BOWL)


@dataclass(frozen=True)
class Part:
    """One primitive. In its unit frame (local coordinates divided by `half`) it is
    BOX |x|,|y|,|z| <= 1; ELLIPSOID |p| <= 1; CYLINDER with |z| <= 1 and a radius that falls
    linearly from 1 at z=-1 to `shape` at z=1; TUBE a cylinder with a hole of radius `shape`;
    BOWL the lower half (z <= 0) of a ball, hollowed by a ball of radius `shape`.
    """

    kind: int
    half: tuple[float, float, float]
    centre: tuple[float, float, float]
    material: int
    shape: float = 1.0
    rotation: Array | None = None
    """Part to body, [3, 3]; None is the identity."""


@dataclass(frozen=True)
class Body:
    """A rigid group of parts with one pose per frame."""

    parts: list[Part]
    pose: Array
    """scene_from_body [N, 4, 4] (or [1, 4, 4] where it never moves)."""
    identity: int
    """0 for the static structure (room, pictures, furniture), >= 1 for objects."""
    moving: bool = False


@dataclass
class Room:
    """The static part of a scene."""

    half: Array
    """Half extents [3]."""
    bodies: list[Body] = field(default_factory=list)
    materials: list[Array] = field(default_factory=list)
    """Rows as `materials.sample_material` gives them; the first six are the room's faces, in the
    order -x, +x, -y, +y, -z (floor), +z (ceiling)."""
    lamps: Array = field(default_factory=lambda: np.zeros((0, 6)))
    """[L, 6]: position, then colour times strength."""
    ambient: Array = field(default_factory=lambda: np.zeros(3))

    def part_boxes(self) -> tuple[Array, Array, Array]:
        """Of the resting parts: scene_from_part rotation [P, 3, 3], centre [P, 3], half [P, 3]."""
        rotations, centres, halves = [], [], []
        for body in self.bodies:
            turn, place = body.pose[0, :3, :3], body.pose[0, :3, 3]
            for part in body.parts:
                rotations.append(turn if part.rotation is None else turn @ part.rotation)
                centres.append(turn @ np.asarray(part.centre) + place)
                halves.append(part.half)
        return np.stack(rotations), np.stack(centres), np.array(halves)

    def add_material(self, row: Array) -> int:
        """Store a material; its index."""
        self.materials.append(row)
        return len(self.materials) - 1


@dataclass(frozen=True)
class Scene:
    """A room with the moving bodies, the cameras and the field of view of one clip."""

    room: Room
    movers: list[Body]
    cameras: Array
    """scene_from_camera [N, 4, 4], OpenCV axes."""
    field_of_view: float
    """Horizontal, radians."""

    @property
    def bodies(self) -> list[Body]:
        return self.room.bodies + self.movers


def rotation_about(axis: Array, angle: float) -> Array:
    """Rotation matrix about a unit axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def make_pose(rotation: Array, translation: Array) -> Array:
    """4x4 transform."""
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = translation
    return pose


def yaw_rotation(angle: float) -> Array:
    """Rotation about the vertical axis z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def random_rotation(rng: np.random.Generator) -> Array:
    """Uniform rotation (from a normalised Gaussian quaternion)."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
