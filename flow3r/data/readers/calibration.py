"""Published calibrations, and depth maps that must fit a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from flow3r.data.readers.images import image_size
from flow3r.data.readers.intrinsics import pinhole
from flow3r.errors import DataError
from flow3r.geometry.camera import resize_intrinsics

ASPECT_TOLERANCE = 0.01
"""Relative, and never less than a pixel: sides of resized pictures are rounded."""


@dataclass(frozen=True)
class Calibration:
    """A pinhole camera that a dataset publishes once, for pictures of one size."""

    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float
    height: int
    width: int

    @property
    def intrinsics(self) -> np.ndarray:
        """[3, 3] for pictures of the published size."""
        return pinhole(self.focal_x, self.focal_y, self.centre_x, self.centre_y)

    def of(self, image: Path) -> np.ndarray:
        """[3, 3] in pixels of a picture, scaled where it was resized.

        Raises DataError where the picture has another aspect ratio: it was cropped.
        """
        size = image_size(image)
        if not same_aspect(size, (self.height, self.width)):
            raise DataError(
                f"{image}: {size[1]} x {size[0]}, but the published calibration is of "
                f"{self.width} x {self.height} pixels: not the same aspect ratio"
            )
        return resized(self.intrinsics, (self.height, self.width), size)


def same_aspect(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes (height, width) can be of one picture, resized."""
    height = size[1] * other[0] / other[1]
    return abs(size[0] - height) <= max(1.0, ASPECT_TOLERANCE * height)


def resized(
    intrinsics: np.ndarray, from_size: tuple[int, int], to_size: tuple[int, int]
) -> np.ndarray:
    """`flow3r.geometry.camera.resize_intrinsics` for arrays, float64."""
    return resize_intrinsics(torch.from_numpy(intrinsics), from_size, to_size).numpy()


def fitting(read: Callable[[], np.ndarray], depth: Path, image: Path) -> np.ndarray:
    """`read()`, the depth map of the file `depth`; DataError unless it has the image's aspect."""
    values = read()
    size = image_size(image)
    if not same_aspect(values.shape, size):
        raise DataError(
            f"{depth}: {values.shape[1]} x {values.shape[0]} does not fit {image.name} of "
            f"{size[1]} x {size[0]}"
        )
    return values


def registered(
    depth: np.ndarray, depth_intrinsics: np.ndarray, intrinsics: np.ndarray
) -> np.ndarray:
    """The depth map [h, w] seen through another calibration of the same optical centre and axis.

    Both calibrations are in pixels of a picture of the depth map's size. Each pixel takes the depth
    measured nearest to its ray; z is the same in both cameras. 0 where the sensor did not look.
    """
    height, width = depth.shape
    x, y = np.arange(width), np.arange(height)
    k, d = intrinsics, depth_intrinsics
    columns = np.rint((x - k[0, 2]) / k[0, 0] * d[0, 0] + d[0, 2]).astype(np.int64)
    rows = np.rint((y - k[1, 2]) / k[1, 1] * d[1, 1] + d[1, 2]).astype(np.int64)
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    seen = depth[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)]
    return np.where(inside, seen, np.float32(0))
