"""The generated world seen through any camera, and what a loader must give back.

Writers turn this truth into a dataset's own files by formulas of their own: nothing here or beside
it imports the readers or the loaders under test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import torch

from flow3r.data.world.config import world_config
from flow3r.data.world.pack import pack
from flow3r.data.world.render import _colour
from flow3r.data.world.selection import select_scenes


@dataclass(frozen=True)
class FrameTruth:
    """What a frame must give; None where the layout does not hold it."""

    name: str
    image: np.ndarray  # uint8 [H, W, 3]
    depth: np.ndarray | None  # float32 [h, w]
    intrinsics: np.ndarray | None  # [3, 3], integer pixel centres
    world_from_camera: np.ndarray | None  # [4, 4], OpenCV axes; any world
    seconds: float | None = None


@dataclass(frozen=True)
class Written:
    """What a writer put into a folder, and within what the format keeps it."""

    scene: str
    frames: Sequence[FrameTruth]
    lists: dict[str, list[str]]
    """Every split and its scenes."""
    settings: dict = field(default_factory=dict)
    dynamic: bool = False
    metric: bool = True
    depth_step: float = 0.0
    """Distance between neighbouring depth values of the encoding."""
    depth_relative: float = 1e-6
    """Relative error of the encoding."""
    pose_error: float = 1e-6
    image_error: float = 0.0
    """Mean absolute difference, in grey values."""


@dataclass(frozen=True)
class Clip:
    """A scene of the generated world with its cameras' path. World = the first camera."""

    scene: object = field(repr=False)
    world_from_camera: np.ndarray  # [N, 4, 4] float64
    dynamic: bool

    def __len__(self) -> int:
        return len(self.world_from_camera)

    def view(self, intrinsics: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [N, h, w, 3] and depth float32 [N, h, w] of a pinhole camera."""
        x, y = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
        k = np.asarray(intrinsics, dtype=np.float64)
        return self.rays((x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], k[0, 0])

    def rays(self, x: np.ndarray, y: np.ndarray, focal: float) -> tuple[np.ndarray, np.ndarray]:
        """Images and depth along any rays x/z, y/z [h, w]; `focal` says how wide pixels are."""
        height, width = x.shape
        packed = pack([self.scene], height, width)
        k = torch.diag(torch.tensor([focal, focal, 1.0], dtype=torch.float32))[None]
        packed = replace(packed, intrinsics=k)
        pixels = torch.from_numpy(np.stack([x.ravel(), y.ravel()]) * focal).float()
        config = world_config("source", height=height, width=width)
        gain = torch.ones(len(self), 3)
        colour, distance, _, z = _colour(config, packed, pixels, gain)
        images = (colour.clamp(0, 1) * 255).round().to(torch.uint8)
        images = images.view(3, len(self), height, width).permute(1, 2, 3, 0)
        return images.numpy().copy(), (distance * z).view(-1, height, width).numpy().copy()


@cache
def make_clip(frames: int = 3, dynamic: bool = False, seed: int = 5) -> Clip:
    """A room seen by a slowly moving camera with a horizontal field of view of about 65 degrees."""
    config = world_config(
        "target" if dynamic else "source",
        frames=frames,
        height=24,
        width=32,
        dynamic=dynamic,
        field_of_view=(65.0, 65.0),
        baseline=(0.15, 0.3),
        yaw=(-8.0, 8.0),
        pitch=(-3.0, 3.0),
        min_covisibility=0.4,
    )
    [scene] = select_scenes(config, seed, [0])
    cameras = np.linalg.inv(scene.cameras[0]) @ scene.cameras
    return Clip(scene, cameras, dynamic)
