"""A reconstruction as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Reconstruction:
    """N frames of H x W pixels, their depth, points and cameras.

    The world is the first camera's frame (OpenCV axes: x right, y down, z forward). All lengths
    share one unknown scale.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]  # [N, H, W, 3]
    depth: Floats  # [N, H, W], z in the frame's own camera
    confidence: Floats  # [N, H, W] in [0, 1]; 0 at depth edges
    world_points: Floats  # [N, H, W, 3]
    world_from_camera: Floats  # [N, 4, 4]
    intrinsics: Floats  # [N, 3, 3] in pixels; integer coordinates are pixel centres
    flow_px: Floats | None
    """[N-1, H, W, 2], displacement to the next frame, NaN where none is predicted (behind the
    camera). None without a flow head."""
    threshold: float
    """A pixel belongs to the point cloud if its confidence lies above this."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.depth.shape[1], self.depth.shape[2]

    @cached_property
    def keep(self) -> NDArray[np.bool_]:
        """[N, H, W]: the K pixels of the point cloud."""
        return self.confidence > self.threshold

    @cached_property
    def points(self) -> Floats:
        """[K, 3] in the world, frame by frame, as the following three."""
        return self.world_points[self.keep]

    @cached_property
    def colours(self) -> NDArray[np.uint8]:
        """[K, 3] RGB."""
        return self.images[self.keep]

    @cached_property
    def point_confidence(self) -> Floats:
        """[K]."""
        return self.confidence[self.keep]

    @cached_property
    def point_frames(self) -> NDArray[np.int64]:
        """[K]: the frame that a point comes from."""
        return np.nonzero(self.keep)[0]

    @property
    def camera_path_length(self) -> float:
        """Sum of the distances between successive camera centres."""
        centres = self.world_from_camera[:, :3, 3].astype(np.float64)
        return float(np.linalg.norm(np.diff(centres, axis=0), axis=1).sum())

    @property
    def field_of_view(self) -> tuple[float, float]:
        """(horizontal, vertical) in degrees, of the mean focal lengths."""
        height, width = self.size
        focal = self.intrinsics[:, [0, 1], [0, 1]].mean(axis=0)
        across, up = np.degrees(2 * np.arctan2([width / 2, height / 2], focal))
        return float(across), float(up)
