"""Scenes of a batch as tensors: primitives sorted by kind, poses re-expressed in the first camera.

Slots: each kind has a block of slots as wide as the fullest scene needs; the room's shell comes
last. A slot's number may depend on the batch, what is in it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flow3r.data.world.materials import COLUMNS
from flow3r.data.world.scene import BOX, CYLINDER, KINDS, TUBE, Scene

FACES = 6


@dataclass(frozen=True)
class PackedScenes:
    """S scenes, N frames, K slots (without the room), float32 on one device."""

    blocks: tuple[tuple[int, int, int], ...]
    """(kind, first slot, end) of each non-empty block."""
    to_unit: Tensor  # [S, N, K + 1, 9]
    """Row-major linear map from world directions to a part's unit frame; the last is the room's."""
    centre: Tensor  # [S, N, K + 1, 3]
    radius: Tensor  # [S, K]
    """Of the bounding ball; negative for an empty slot."""
    half: Tensor  # [S, K + 1, 3]
    """Half extents; the last is the room's."""
    shape: Tensor  # [S, K + 1]
    identity: Tensor  # [S, K + 1]
    moving: Tensor  # [S, K + 1]
    material: Tensor  # [S, K + 6]
    """Row of `materials`; the room's six faces last."""
    materials: Tensor  # [rows, COLUMNS]
    lamps: Tensor  # [S, L, 6]
    ambient: Tensor  # [S, 3]
    intrinsics: Tensor  # [S, 3, 3]
    world_from_camera: Tensor  # [S, N, 4, 4]
    world_from_part: Tensor  # [S, N, K + 1, 4, 4]
    """Rigid, float64 on the CPU: composed per pair of frames for exact flow."""

    @property
    def scenes(self) -> int:
        return self.radius.shape[0]

    @property
    def frames(self) -> int:
        return self.centre.shape[1]

    @property
    def slots(self) -> int:
        return self.radius.shape[1]


def _bounding_radius(kind: np.ndarray, half: np.ndarray) -> np.ndarray:
    box = np.linalg.norm(half, axis=-1)
    round_part = half.max(-1)
    cylinder = np.hypot(half[..., :2].max(-1), half[..., 2])
    radius = np.where(kind == BOX, box, round_part)
    return np.where((kind == CYLINDER) | (kind == TUBE), cylinder, radius)


class _Arrays:
    """Empty slots of a batch, to be filled scene by scene."""

    def __init__(self, scenes: int, frames: int, slots: int) -> None:
        self.kind = np.zeros((scenes, slots), dtype=np.int64)
        self.half = np.ones((scenes, slots + 1, 3))
        self.shape = np.ones((scenes, slots + 1))
        self.used = np.zeros((scenes, slots), dtype=bool)
        self.pose = np.tile(np.eye(4), (scenes, frames, slots + 1, 1, 1))
        self.identity = np.zeros((scenes, slots + 1), dtype=np.int64)
        self.moving = np.zeros((scenes, slots + 1), dtype=bool)
        self.material = np.zeros((scenes, slots + FACES), dtype=np.int64)
        self.cameras = np.zeros((scenes, frames, 4, 4))


def _blocks(scenes: list[Scene]) -> tuple[tuple[int, int, int], ...]:
    counts = np.zeros((len(scenes), len(KINDS)), dtype=np.int64)
    for s, scene in enumerate(scenes):
        for body in scene.bodies:
            for part in body.parts:
                counts[s, part.kind] += 1
    blocks, first = [], 0
    for kind, width in zip(KINDS, counts.max(0)):
        if width:
            blocks.append((kind, first, first + int(width)))
            first += int(width)
    return tuple(blocks)


def _fill(arrays: _Arrays, s: int, scene: Scene, blocks: tuple, first_material: int) -> None:
    world_from_scene = np.linalg.inv(scene.cameras[0])
    next_slot = {kind: start for kind, start, _ in blocks}
    entries = [(body, part) for body in scene.bodies for part in body.parts]
    slots = []
    for _, part in entries:
        slots.append(next_slot[part.kind])
        next_slot[part.kind] += 1
    arrays.used[s, slots] = True
    arrays.kind[s, slots] = [part.kind for _, part in entries]
    arrays.half[s, slots] = [part.half for _, part in entries]
    arrays.shape[s, slots] = [part.shape for _, part in entries]
    arrays.identity[s, slots] = [body.identity for body, _ in entries]
    arrays.moving[s, slots] = [body.moving for body, _ in entries]
    arrays.material[s, slots] = [first_material + part.material for _, part in entries]
    local = np.tile(np.eye(4), (len(entries), 1, 1))
    local[:, :3, 3] = [part.centre for _, part in entries]
    for n, (_, part) in enumerate(entries):
        if part.rotation is not None:
            local[n, :3, :3] = part.rotation
    body_pose = np.empty((len(scene.cameras), len(entries), 4, 4))
    for n, (body, _) in enumerate(entries):
        body_pose[:, n] = body.pose
    arrays.pose[s][:, slots] = world_from_scene @ body_pose @ local
    arrays.pose[s][:, -1] = world_from_scene
    arrays.half[s, -1] = scene.room.half
    arrays.material[s, -FACES:] = first_material + np.arange(FACES)
    arrays.cameras[s] = world_from_scene @ scene.cameras
    arrays.cameras[s, 0] = np.eye(4)


def _lamps(scenes: list[Scene]) -> np.ndarray:
    """Lamps in world coordinates, padded with dark ones."""
    lamps = np.zeros((len(scenes), max(len(s.room.lamps) for s in scenes), 6))
    for s, scene in enumerate(scenes):
        pose = np.linalg.inv(scene.cameras[0])
        own = scene.room.lamps
        lamps[s, : len(own), :3] = own[:, :3] @ pose[:3, :3].T + pose[:3, 3]
        lamps[s, : len(own), 3:] = own[:, 3:]
    return lamps


def _intrinsics(scenes: list[Scene], height: int, width: int) -> np.ndarray:
    matrices = np.zeros((len(scenes), 3, 3))
    for s, scene in enumerate(scenes):
        focal = 0.5 * width / np.tan(scene.field_of_view / 2)
        matrices[s] = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
    return matrices


def pack(
    scenes: list[Scene], height: int, width: int, device: torch.device | str = "cpu"
) -> PackedScenes:
    """Tensors of the scenes, for images of height x width pixels."""
    blocks = _blocks(scenes)
    arrays = _Arrays(len(scenes), len(scenes[0].cameras), blocks[-1][2] if blocks else 0)
    materials: list[np.ndarray] = []
    for s, scene in enumerate(scenes):
        _fill(arrays, s, scene, blocks, len(materials))
        materials.extend(scene.room.materials)
    rotation = np.swapaxes(arrays.pose[..., :3, :3], -1, -2)
    to_unit = rotation / arrays.half[:, None, :, :, None]
    radius = _bounding_radius(arrays.kind, arrays.half[:, :-1])
    radius[~arrays.used] = -1.0

    def tensor(values: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(dtype=dtype, device=device)

    return PackedScenes(
        blocks=blocks,
        to_unit=tensor(to_unit.reshape(*to_unit.shape[:3], 9)),
        centre=tensor(arrays.pose[..., :3, 3]),
        radius=tensor(radius),
        half=tensor(arrays.half),
        shape=tensor(arrays.shape),
        identity=tensor(arrays.identity, torch.int64),
        moving=tensor(arrays.moving, torch.bool),
        material=tensor(arrays.material, torch.int64),
        materials=tensor(np.stack(materials).reshape(-1, COLUMNS)),
        lamps=tensor(_lamps(scenes)),
        ambient=tensor(np.stack([s.room.ambient for s in scenes])),
        intrinsics=tensor(_intrinsics(scenes, height, width)),
        world_from_camera=tensor(arrays.cameras),
        world_from_part=torch.from_numpy(arrays.pose),
    )
