"""The scores of one scene by a protocol."""

from __future__ import annotations

from typing import Any

import numpy as np

from flow3r.errors import DataError
from flow3r.evaluation.protocols.clouds import (
    best_similarity,
    corresponding_points,
    mean_distance,
    mean_square_distance,
    move_in_place,
)
from flow3r.evaluation.protocols.depth import depth_metrics
from flow3r.evaluation.protocols.protocol import PoseRules, Protocol
from flow3r.evaluation.protocols.surfaces import AFTER_ICP, BEFORE_ICP, surface_metrics
from flow3r.evaluation.protocols.truth import SceneTruth
from flow3r.evaluation.relative_pose import pair_errors, relative_pose_metrics
from flow3r.evaluation.sequence import SequencePrediction
from flow3r.evaluation.trajectory import trajectory_metrics


def score_scene(
    protocol: Protocol, truth: SceneTruth, prediction: SequencePrediction, workers: int = -1
) -> dict[str, Any]:
    """Score one scene; it needs no other scene, so scenes may be scored in parallel.

    Returns {"scene", "group", "frames": N, "metrics": {name: value}, "weights": {name: value}}. A
    metric that the prediction or the truth does not define is absent. `weights` are what `summary`
    needs to pool scenes: "pairs" and "directed_pairs" (those with a true translation), and
    "pixels" of known depth. `workers` threads seek nearest neighbours (-1: all cores); their number
    changes no result. Raises DataError where frames differ.
    """
    prediction = _of_the_same_frames(truth, prediction)
    values, weights = {}, {}
    if protocol.family == "depth":
        if truth.depth is not None and prediction.depth() is not None:
            found, pixels = depth_metrics(protocol.depth, prediction.depth(), truth.depth)
            values, weights = found, {"pixels": pixels}
    else:
        values, weights = pose_metrics(protocol.poses, truth, prediction)
        values |= point_metrics(protocol, truth, prediction, workers)
    kept = {
        name: values[name] for name in protocol.metrics if np.isfinite(values.get(name, np.nan))
    }
    return {
        "scene": truth.scene,
        "group": truth.group,
        "frames": len(truth.frames),
        "metrics": kept,
        "weights": weights,
    }


def pose_metrics(
    rules: PoseRules, truth: SceneTruth, prediction: SequencePrediction
) -> tuple[dict[str, float], dict[str, int]]:
    """Relative-pose and trajectory metrics, NaN where undefined, and the pairs they are over."""
    if truth.world_from_camera is None or prediction.world_from_camera is None:
        return {}, {}
    true = _in_unit(rules, truth.world_from_camera)
    predicted = prediction.world_from_camera
    found = relative_pose_metrics(predicted[None], true[None])
    found |= trajectory_metrics(predicted[None], true[None])
    direction = pair_errors(predicted, true)[1]
    weights = {"pairs": len(direction), "directed_pairs": int((~np.isnan(direction)).sum())}
    return {name: float(value[0]) for name, value in found.items()}, weights


def point_metrics(
    protocol: Protocol, truth: SceneTruth, prediction: SequencePrediction, workers: int = -1
) -> dict[str, float]:
    """The pointmap's mean squared error and, if the protocol asks, nearest-neighbour metrics.

    Both clouds hold the pixels whose true depth counts, aligned by one Sim(3).
    """
    if not _has_points(truth, prediction):
        return {}
    predicted, target = corresponding_points(protocol.points, truth, prediction)
    unit = mean_distance(target, truth.world_from_camera[0, :3, 3]) if len(target) else 0.0
    if unit == 0.0:
        return {}
    move_in_place(predicted, best_similarity(predicted, target))
    values = {"pointmap_mse": mean_square_distance(predicted, target) / unit**2}
    wanted = protocol.metrics
    if any(name in (*BEFORE_ICP, *AFTER_ICP) for name in wanted):
        values |= surface_metrics(predicted, target, unit, protocol.points, wanted, workers)
    if not truth.metric:
        values.pop("f_score_5cm", None)
    return values


def _in_unit(rules: PoseRules, poses: np.ndarray) -> np.ndarray:
    """True poses in the unit of the protocol."""
    if rules.trajectory_unit == "scene":
        return poses
    centres = poses[:, :3, 3] - poses[:, :3, 3].mean(axis=0)
    spread = np.sqrt((centres**2).sum(axis=-1).mean())
    scaled = poses.copy()
    scaled[:, :3, 3] /= spread if spread > 0 else 1.0
    return scaled


def _has_points(truth: SceneTruth, prediction: SequencePrediction) -> bool:
    known = (truth.depth, truth.intrinsics, truth.world_from_camera)
    local = prediction.local_points is not None and prediction.world_from_camera is not None
    return all(part is not None for part in known) and (
        local or prediction.world_points is not None
    )


def _of_the_same_frames(truth: SceneTruth, prediction: SequencePrediction) -> SequencePrediction:
    if prediction.sequence != truth.scene:
        raise DataError(f"the prediction is of {prediction.sequence!r}, the truth {truth.scene!r}")
    return prediction.select(truth.frames)
