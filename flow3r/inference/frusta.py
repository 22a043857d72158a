"""Cameras as things to look at: frusta, and a colour per frame."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from flow3r.inference.result import Reconstruction

RELATIVE_DEPTH = 0.1
"""Depth of the drawn frusta as a share of the median depth of the points."""


def frustum_depth(result: Reconstruction) -> float:
    """How deep to draw the frusta of a reconstruction."""
    return RELATIVE_DEPTH * float(np.median(result.depth))


def frustum_corners(result: Reconstruction, depth: float) -> NDArray[np.float64]:
    """World positions [N, 5, 3] of each camera's centre and of the outer corners of its image
    (upper left, upper right, lower right, lower left) at `depth`.
    """
    height, width = result.size
    pixels = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    rays = np.concatenate([pixels, np.ones((4, 1))], axis=1)  # [4, 3]
    inverse = np.linalg.inv(result.intrinsics.astype(np.float64))  # [N, 3, 3]
    corners = depth * np.einsum("nij,kj->nki", inverse, rays)
    local = np.concatenate([np.zeros((len(corners), 1, 3)), corners], axis=1)  # [N, 5, 3]
    poses = result.world_from_camera.astype(np.float64)
    return np.einsum("nij,nkj->nki", poses[:, :3, :3], local) + poses[:, None, :3, 3]


def frustum_lines() -> list[tuple[int, int]]:
    """Which of the five points of `frustum_corners` the lines connect."""
    return [(0, corner) for corner in (1, 2, 3, 4)] + [(1, 2), (2, 3), (3, 4), (4, 1)]


def frame_colours(count: int) -> NDArray[np.uint8]:
    """[count, 3] RGB: from blue for the first frame over green to red for the last one."""
    share = np.linspace(0, 1, count)
    colours = [colorsys.hsv_to_rgb(2 / 3 * (1 - s), 0.9, 0.95) for s in share]
    return np.rint(255 * np.array(colours)).astype(np.uint8)
