"""Nearest-neighbour metrics of a predicted cloud: f-scores, accuracy, completeness, normals.

Every point of one cloud can be found, but only `queries` of the other ask (the same pixels in both
directions, evenly drawn): a mean over 100,000 of 20 million distances has a standard error of a
third of a per cent of their spread, without the bias that thinning the searched cloud would have. A
perfect prediction scores perfectly all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from flow3r.evaluation.pointmap import F_SCORE_THRESHOLD
from flow3r.evaluation.protocols.icp import apply_motion, iterated_closest_points
from flow3r.evaluation.protocols.normals import normals_at
from flow3r.evaluation.protocols.protocol import PointRules
from flow3r.streams import numpy_generator

FIVE_CENTIMETRES = 0.05
BEFORE_ICP = ("chamfer", "f_score_5", "f_score_5cm")
AFTER_ICP = (
    "accuracy",
    "accuracy_median",
    "completeness",
    "completeness_median",
    "chamfer_icp",
    "normal_consistency",
    "normal_consistency_median",
)


@dataclass(frozen=True)
class _Side:
    """What one cloud answers to the points of the other, before and after ICP."""

    before: np.ndarray  # [Q] distances
    after: np.ndarray  # [Q] distances
    normals: np.ndarray | None  # [Q, 3] of the nearest points after ICP
    own_normals: np.ndarray | None  # [Q, 3] of this cloud at the asking pixels


def surface_metrics(
    predicted: np.ndarray,  # [K, 3], aligned by a similarity
    target: np.ndarray,  # [K, 3]
    unit: float,
    rules: PointRules,
    wanted: tuple[str, ...],
    workers: int = -1,
) -> dict[str, float]:
    """The metrics of `BEFORE_ICP` and, if one is wanted, of `AFTER_ICP`.

    `unit` is the mean point distance, by which `chamfer` and `f_score_5` are divided; the others
    are in the unit of the points. Refinement and search trees are shared; only one tree lives at a
    time.
    """
    asking = _asking_points(len(predicted), rules.queries)
    refine = any(name in AFTER_ICP for name in wanted)
    normals = refine and len(predicted) >= rules.normal_neighbours
    tree = search_tree(target)
    motion = _refinement(predicted[asking], tree, unit, rules, workers) if refine else np.eye(4)
    true_side = _side(tree, predicted[asking], motion, target[asking], rules, normals, workers)
    del tree
    tree = search_tree(predicted)
    back = np.linalg.inv(motion)  # rigid: distances may be taken before or after it
    own_side = _side(tree, target[asking], back, predicted[asking], rules, normals, workers)
    values = _before(true_side.before, own_side.before, unit)
    if refine:
        values |= _after(true_side.after, own_side.after)
    if normals:
        values |= _consistency(true_side, own_side, motion[:3, :3])
    return values


def search_tree(points: np.ndarray) -> cKDTree:
    """A tree over points [K, 3]; they are not copied and must not change."""
    # Splitting at the middle instead of the median builds faster; the answers are the same.
    return cKDTree(points, balanced_tree=False, compact_nodes=False)


def f_score(accuracy: np.ndarray, completeness: np.ndarray, threshold: float) -> float:
    """2 P R / (P + R) in percent of the shares of distances strictly under `threshold`."""
    precision = float((accuracy < threshold).mean())
    recall = float((completeness < threshold).mean())
    both = precision + recall
    return 200.0 * precision * recall / both if both > 0 else 0.0


def _asking_points(count: int, queries: int) -> np.ndarray:
    """Ascending indices: neighbouring pixels ask after each other, which keeps caches warm."""
    if queries == 0 or count <= queries:
        return np.arange(count)
    draw = numpy_generator(0, "evaluation/surfaces", count)
    return np.sort(draw.choice(count, size=queries, replace=False, shuffle=False))


def _refinement(
    source: np.ndarray, tree: cKDTree, unit: float, rules: PointRules, workers: int
) -> np.ndarray:
    threshold = rules.icp_threshold * (unit if rules.icp_unit == "mean_distance" else 1.0)
    return iterated_closest_points(source, tree, threshold, rules.icp_iterations, workers)


def _side(
    tree: cKDTree,
    asking: np.ndarray,  # [Q, 3] of the other cloud
    motion: np.ndarray,  # [4, 4] that brings `asking` to this cloud
    own: np.ndarray,  # [Q, 3] of this cloud, same pixels
    rules: PointRules,
    normals: bool,
    workers: int,
) -> _Side:
    before = tree.query(asking, workers=workers)[0]
    after, near = tree.query(apply_motion(motion, asking), workers=workers)
    if not normals:
        return _Side(before, after, None, None)
    at = [normals_at(p, tree, rules.normal_neighbours, workers) for p in (tree.data[near], own)]
    return _Side(before, after, *at)


def _before(accuracy: np.ndarray, completeness: np.ndarray, unit: float) -> dict[str, float]:
    chamfer = (float(accuracy.mean()) + float(completeness.mean())) / 2.0 / unit
    return {
        "chamfer": chamfer,
        "f_score_5": f_score(accuracy, completeness, F_SCORE_THRESHOLD * unit),
        "f_score_5cm": f_score(accuracy, completeness, FIVE_CENTIMETRES),
    }


def _after(accuracy: np.ndarray, completeness: np.ndarray) -> dict[str, float]:
    means = float(accuracy.mean()), float(completeness.mean())
    return {
        "accuracy": means[0],
        "accuracy_median": float(np.median(accuracy)),
        "completeness": means[1],
        "completeness_median": float(np.median(completeness)),
        "chamfer_icp": sum(means) / 2.0,
    }


def _consistency(true_side: _Side, own_side: _Side, rotation: np.ndarray) -> dict[str, float]:
    """Mean of both directions of |n . n'| at nearest points, and of their medians."""
    turned = own_side.own_normals @ rotation.T, own_side.normals @ rotation.T
    of_predicted = np.abs((turned[0] * true_side.normals).sum(axis=-1))
    of_true = np.abs((true_side.own_normals * turned[1]).sum(axis=-1))
    return {
        "normal_consistency": float(of_predicted.mean() + of_true.mean()) / 2.0,
        "normal_consistency_median": float(np.median(of_predicted) + np.median(of_true)) / 2.0,
    }
