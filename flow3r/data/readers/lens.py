"""Lens distortion taken out: pictures and depth maps as a pinhole camera would have seen them.

The pinhole camera has the lens's own focal length and principal point and the picture's size: the
middle of the picture keeps its scale, a fisheye's border is lost. Formulas as in OpenCV's and
COLMAP's camera models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flow3r.data.readers.calibration import resized
from flow3r.data.readers.images import image_size, read_rgb


@dataclass(frozen=True)
class Lens:
    """How rays are bent before they meet the sensor."""

    kind: Literal["radial", "fisheye"]
    coefficients: tuple[float, ...]
    """radial: k1, k2, p1, p2, k3, k4, k5, k6 (OpenCV's order; missing ones are 0); fisheye: k1 ...
    k4 of the angle's odd powers."""

    def bent(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where rays x/z, y/z meet the plane z = 1 after the lens."""
        if self.kind == "fisheye":
            radius = np.hypot(x, y)
            angle = np.arctan(radius)
            square = angle * angle
            series = 1.0 + sum(k * square**n for n, k in enumerate(self.coefficients, start=1))
            factor = np.where(radius > 1e-9, angle * series / np.maximum(radius, 1e-9), 1.0)
            return x * factor, y * factor
        k1, k2, p1, p2, k3, k4, k5, k6 = (*self.coefficients, *[0.0] * 8)[:8]
        r2 = x * x + y * y
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        return bent_x, bent_y

    def straight_image(self, image: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3]; bilinear, black where the lens did not look."""
        values = torch.tensor(image).permute(2, 0, 1)[None].float()
        found = self._sampled(values, intrinsics, "bilinear")
        return found.round().clamp(0, 255).byte()[0].permute(1, 2, 0).contiguous().numpy()

    def straight_depth(
        self, depth: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray:
        """float32 [h, w]; nearest, 0 where the lens did not look.

        `intrinsics` are those of the picture of `size` (height, width).
        """
        own = resized(intrinsics, size, depth.shape)
        values = torch.from_numpy(depth)[None, None]
        return self._sampled(values, own, "nearest")[0, 0].numpy()

    def _sampled(self, values: Tensor, intrinsics: np.ndarray, mode: str) -> Tensor:
        """values [1, C, h, w] at the bent rays of every pixel."""
        height, width = values.shape[-2:]
        k = intrinsics
        x, y = np.meshgrid(
            (np.arange(width) - k[0, 2]) / k[0, 0], (np.arange(height) - k[1, 2]) / k[1, 1]
        )
        bent_x, bent_y = self.bent(x, y)
        columns, rows = bent_x * k[0, 0] + k[0, 2], bent_y * k[1, 1] + k[1, 2]
        # grid_sample's -1 and 1 are the outer borders of the first and the last pixel.
        grid = np.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], axis=-1)
        return F.grid_sample(
            values, torch.from_numpy(grid)[None].float(), mode=mode, align_corners=False
        )


def straight_rgb(image: Path, intrinsics: np.ndarray, lens: Lens | None) -> np.ndarray:
    """The picture of a file without its lens's distortion."""
    pixels = read_rgb(image)
    return pixels if lens is None else lens.straight_image(pixels, intrinsics)


def straight_depth(
    read: Callable[[], np.ndarray], image: Path, intrinsics: np.ndarray, lens: Lens | None
) -> np.ndarray:
    """The depth map `read()`, recorded through the lens of the picture `image`, without it."""
    depth = read()
    return depth if lens is None else lens.straight_depth(depth, intrinsics, image_size(image))
