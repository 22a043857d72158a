"""Errors of predicted world points and depths after a scale-free alignment.

No released code defines the paper's pointmap MSE and f-score at 5 %. These definitions are ours:
the predicted world points of all frames are moved to the ground truth by one Umeyama Sim(3) per
clip over all valid pixels, and every length is divided by the *mean point distance*: the mean
distance of the valid true points to the first camera.

Chamfer distance and f-score work on a sample of a clip's valid pixels: a random permutation that
depends on their number only, of which the first `TREE_POINTS` are searched and the first
`queries` (`QUERY_POINTS`) ask for their nearest neighbour. Predicted and true points of the same
pixels are taken, so that a perfect prediction scores 0 and 100.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from flow3r.evaluation.alignment import align_similarity, median_scale
from flow3r.streams import numpy_generator

QUERY_POINTS = 1024
TREE_POINTS = 8192
F_SCORE_THRESHOLD = 0.05
"""Share of the mean point distance."""


def to_world(local_points: np.ndarray, world_from_camera: np.ndarray) -> np.ndarray:
    """World points [M, N, H, W, 3] of camera-frame points and their world_from_camera poses."""
    shape = local_points.shape
    rotation = world_from_camera[..., :3, :3].astype(np.float64)
    flat = local_points.reshape(*shape[:2], -1, 3).astype(np.float64)
    moved = flat @ np.swapaxes(rotation, -1, -2) + world_from_camera[..., None, :3, 3]
    return moved.reshape(shape)


def pointmap_metrics(
    predicted: np.ndarray,  # [M, N, H, W, 3] world points, finite
    truth: np.ndarray,  # [M, N, H, W, 3] world points
    valid: np.ndarray,  # [M, N, H, W] bool, true points that exist
    moving: np.ndarray,  # [M, N, H, W] bool
    origin: np.ndarray,  # [M, 3] true position of the first camera
    queries: int = QUERY_POINTS,
) -> dict[str, np.ndarray]:
    """`pointmap_mse` (and `_moving`, `_static`), `chamfer` and `f_score_5` per clip, each [M].

    The splits share the alignment of all valid pixels and restrict the mean of the errors only. NaN
    where a clip has no pixel of the kind.
    """
    clips = len(predicted)
    points = predicted.reshape(clips, -1, 3)
    target = truth.reshape(clips, -1, 3).astype(np.float64)
    valid, moving = valid.reshape(clips, -1), moving.reshape(clips, -1)
    distance = masked_mean(np.linalg.norm(target - origin[:, None], axis=-1), valid)
    unit = np.where(distance > 0, distance, np.nan)[:, None, None]
    aligned = align_similarity(points, target, valid)[0] / unit
    target = target / unit
    error = ((aligned - target) ** 2).sum(axis=-1)
    known = valid & np.isfinite(unit[:, 0])
    values = split_means("pointmap_mse", error, known, moving)
    nearest = [nearest_metrics(a[k], t[k], queries) for a, t, k in zip(aligned, target, known)]
    chamfer, f_score = np.array(nearest, dtype=np.float64).reshape(clips, 2).T
    return {**values, "chamfer": chamfer, "f_score_5": f_score}


def nearest_metrics(
    predicted: np.ndarray, truth: np.ndarray, queries: int = QUERY_POINTS
) -> tuple[float, float]:
    """Chamfer distance and f-score (percent) of two corresponding point sets [K, 3].

    Chamfer is the mean of accuracy (predicted to true, mean nearest-neighbour distance) and
    completeness (true to predicted). The f-score is 2 P R / (P + R) of the shares of these
    distances strictly under `F_SCORE_THRESHOLD`. NaN for empty sets.
    """
    count = len(predicted)
    if count == 0:
        return np.nan, np.nan
    order = numpy_generator(0, "evaluation/nearest", count).permutation(count)
    searched, asking = order[:TREE_POINTS], order[:queries]
    accuracy = _tree(truth[searched]).query(predicted[asking])[0]
    completeness = _tree(predicted[searched]).query(truth[asking])[0]
    precision = float((accuracy < F_SCORE_THRESHOLD).mean())
    recall = float((completeness < F_SCORE_THRESHOLD).mean())
    both = precision + recall
    f_score = 200.0 * precision * recall / both if both > 0 else 0.0
    return (float(accuracy.mean()) + float(completeness.mean())) / 2.0, f_score


def depth_metrics(
    predicted: np.ndarray,  # [M, N, H, W] z of the local points, positive and finite
    truth: np.ndarray,  # [M, N, H, W] z, 0 = none
    moving: np.ndarray,  # [M, N, H, W] bool
) -> dict[str, np.ndarray]:
    """`depth_abs_rel` (and `_moving`, `_static`) per clip, each [M]: mean |s p - g| / g.

    One scale s per clip, the median of g / p over the valid pixels of all its frames, serves the
    splits too. (Pi3 aligns a whole sequence by iterated least squares, or each single image by
    medians; the median of ratios is as robust and has a closed form.)
    """
    clips = len(predicted)
    p, g = predicted.reshape(clips, -1).astype(np.float64), truth.reshape(clips, -1)
    valid = g > 0
    scale = median_scale(p, g, valid)[:, None]
    error = np.abs(scale * p - g) / np.where(valid, g, 1.0)
    return split_means("depth_abs_rel", error, valid, moving.reshape(clips, -1))


def split_means(
    name: str, error: np.ndarray, valid: np.ndarray, moving: np.ndarray
) -> dict[str, np.ndarray]:
    """Means of `error` [M, K] over all valid, valid moving and valid static entries, [M] each."""
    return {
        name: masked_mean(error, valid),
        f"{name}_moving": masked_mean(error, valid & moving),
        f"{name}_static": masked_mean(error, valid & ~moving),
    }


def masked_mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the entries in `mask`; NaN where there is none."""
    count = mask.sum(axis=-1)
    total = np.where(mask, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _tree(points: np.ndarray) -> cKDTree:
    # Splitting at the middle instead of the median builds faster; the answers are the same.
    return cKDTree(points, balanced_tree=False, compact_nodes=False)
