"""The corresponding point clouds of a scene, in memory that is bounded by the points themselves.

A sequence of 100 frames of 518 x 392 pixels has 20 million points, so nothing but the two clouds is
as large as they are: sums are taken block by block, and the alignment works in place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from flow3r.evaluation.protocols.protocol import PointRules
from flow3r.evaluation.protocols.size import resized_points
from flow3r.evaluation.protocols.truth import SceneTruth
from flow3r.evaluation.sequence import SequencePrediction
from flow3r.geometry.camera import unproject
from flow3r.geometry.similarity import Similarity, similarity_of_moments

BLOCK = 1 << 18
"""Points of a block."""
BYTES_PER_POINT = 100
"""Peak of scoring a scene's points: two clouds in float64 (48), one search tree (about 36), and
predicted points and true depth in float32 (16)."""
_MIN_POINTS = 3
_MIN_RELATIVE_SPREAD = 1e-12


def peak_bytes(frames: int, height: int, width: int) -> int:
    """Memory that scoring the points of a scene takes, an upper bound beside a constant."""
    return frames * height * width * BYTES_PER_POINT


def corresponding_points(
    rules: PointRules, truth: SceneTruth, prediction: SequencePrediction
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true world points [K, 3] (float64) of the pixels whose true depth counts.

    A prediction of another size is interpolated to the truth's (bilinear, antialiased).
    """
    valid = counted_pixels(rules, truth.depth)
    count = int(valid.sum())
    predicted, target = np.empty((count, 3)), np.empty((count, 3))
    start = 0
    for frame, mask in enumerate(valid):
        rows = slice(start, start + int(mask.sum()))
        target[rows] = _true_points(truth, frame)[mask]
        predicted[rows] = _predicted_points(prediction, frame, mask.shape)[mask]
        start = rows.stop
    return predicted, target


def counted_pixels(rules: PointRules, depth: np.ndarray) -> np.ndarray:
    """Mask of the true depths [N, H, W] that count."""
    valid = depth > rules.min_depth
    return valid & (depth < rules.max_depth) if rules.max_depth else valid


def best_similarity(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The least-squares Sim(3) of `source` to `target` [K, 3]: `umeyama`, block by block."""
    mean_x, mean_y = source.mean(axis=0), target.mean(axis=0)
    covariance, variance, square = np.zeros((3, 3)), 0.0, 0.0
    for rows in blocks(len(source)):
        x, y = source[rows] - mean_x, target[rows] - mean_y
        covariance += y.T @ x
        variance += float((x * x).sum())
        square += float((source[rows] ** 2).sum())
    usable = len(source) >= _MIN_POINTS and variance > _MIN_RELATIVE_SPREAD * square
    count = len(source)
    return similarity_of_moments(
        torch.from_numpy(mean_x),
        torch.from_numpy(mean_y),
        torch.from_numpy(covariance / count),
        torch.tensor(variance / count, dtype=torch.float64),
        torch.tensor(usable),
    )


def move_in_place(points: np.ndarray, similarity: Similarity) -> None:
    """Apply a similarity to points [K, 3]."""
    for rows in blocks(len(points)):
        points[rows] = similarity.apply(torch.from_numpy(points[rows])).numpy()


def mean_square_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean squared distance of corresponding points [K, 3]."""
    total = sum(float(((first[rows] - second[rows]) ** 2).sum()) for rows in blocks(len(first)))
    return total / len(first)


def mean_distance(points: np.ndarray, origin: np.ndarray) -> float:
    """Mean distance of points [K, 3] to `origin` [3]."""
    parts = blocks(len(points))
    total = sum(float(np.linalg.norm(points[rows] - origin, axis=-1).sum()) for rows in parts)
    return total / len(points)


def blocks(count: int) -> Iterator[slice]:
    """Slices of at most `BLOCK` entries."""
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def _true_points(truth: SceneTruth, frame: int) -> np.ndarray:
    depth = torch.from_numpy(truth.depth[frame].astype(np.float64))
    local = unproject(depth, torch.from_numpy(truth.intrinsics[frame])).numpy()
    return _to_world(local, truth.world_from_camera[frame])


def _predicted_points(
    prediction: SequencePrediction, frame: int, size: tuple[int, int]
) -> np.ndarray:
    if prediction.world_points is not None:
        return resized_points(prediction.world_points[frame], size)
    local = resized_points(prediction.local_points[frame], size)
    return _to_world(local, prediction.world_from_camera[frame])


def _to_world(points: np.ndarray, world_from_camera: np.ndarray) -> np.ndarray:
    pose = world_from_camera.astype(np.float64)
    return points.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
