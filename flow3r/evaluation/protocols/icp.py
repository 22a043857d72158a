"""Rigid refinement by iterated closest points, point to point.

Our own code over scipy's search tree: of the libraries with a wheel, trimesh's ICP knows no largest
distance of a correspondence, small_gicp's minimises by Gauss-Newton with other stopping rules, and
open3d (which the published numbers use) needs graphics libraries that a training machine lacks.
Scores must not depend on what is installed. The rules are open3d's: correspondences are the nearest
neighbours strictly within the threshold, each step is the best rigid motion (Kabsch) of all of
them, and it ends after `iterations` steps or when the share of matched points and their root mean
square distance both change by less than 1e-6 (relative to 1 point and 1 unit, as open3d does).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from flow3r.geometry.rotation import nearest_rotation

TOLERANCE = 1e-6
_MIN_MATCHES = 3


def iterated_closest_points(
    source: np.ndarray,  # [Q, 3]
    tree: cKDTree,
    threshold: float,
    iterations: int = 30,
    workers: int = -1,
) -> np.ndarray:
    """The motion [4, 4] that brings `source` onto the points of `tree`; starts at the identity.

    With fewer than three correspondences it ends where it is.
    """
    motion = np.eye(4)
    moved = source
    near, share, error = _match(moved, tree, threshold, workers)
    for _ in range(iterations):
        matched = near < tree.n
        if matched.sum() < _MIN_MATCHES:
            break
        step = best_motion(moved[matched], tree.data[near[matched]])
        motion = step @ motion
        moved = apply_motion(motion, source)
        before = share, error
        near, share, error = _match(moved, tree, threshold, workers)
        if abs(before[0] - share) < TOLERANCE and abs(before[1] - error) < TOLERANCE:
            break
    return motion


def best_motion(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rigid motion [4, 4] that minimises the squared distances of points [K, 3] (Kabsch)."""
    mean_x, mean_y = source.mean(axis=0), target.mean(axis=0)
    covariance = (target - mean_y).T @ (source - mean_x)
    motion = np.eye(4)
    motion[:3, :3] = nearest_rotation(torch.from_numpy(covariance)).numpy()
    motion[:3, 3] = mean_y - motion[:3, :3] @ mean_x
    return motion


def apply_motion(motion: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [K, 3] moved by [4, 4]."""
    return points @ motion[:3, :3].T + motion[:3, 3]


def _match(
    points: np.ndarray, tree: cKDTree, threshold: float, workers: int
) -> tuple[np.ndarray, float, float]:
    """Index of the nearest point ([Q], tree.n: none within reach), matched share, their error."""
    distance, near = tree.query(points, distance_upper_bound=threshold, workers=workers)
    matched = near < tree.n
    count = int(matched.sum())
    error = float(np.sqrt((distance[matched] ** 2).mean())) if count else 0.0
    return near, count / max(len(points), 1), error
