"""Normals of point clouds from the neighbours of a point."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

BLOCK = 1 << 14
"""Points at a time: their neighbours are 30 times as many."""


def normals_at(points: np.ndarray, tree: cKDTree, neighbours: int, workers: int = -1) -> np.ndarray:
    """Unit normals [Q, 3] (of either sign) at `points` [Q, 3] of the cloud in `tree`.

    The direction of least spread of the nearest `neighbours` points, the point itself among them,
    as open3d's estimate_normals with its default of 30. The cloud must have that many points.
    """
    result = np.empty((len(points), 3))
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        _, near = tree.query(points[rows], k=neighbours, workers=workers)
        around = tree.data[near]  # [q, k, 3]
        around = around - around.mean(axis=1, keepdims=True)
        spread = np.swapaxes(around, 1, 2) @ around
        result[rows] = np.linalg.eigh(spread)[1][..., 0]
    return result
