"""Scores of exported predictions, one record per scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flow3r.data.clip import EvaluationClips
from flow3r.errors import DataError
from flow3r.evaluation.covariates import clip_covariates, defined_at
from flow3r.evaluation.flow import flow_metrics
from flow3r.evaluation.names import METRICS
from flow3r.evaluation.pointmap import QUERY_POINTS, depth_metrics, pointmap_metrics, to_world
from flow3r.evaluation.predictions import ClipPredictions
from flow3r.evaluation.relative_pose import relative_pose_metrics
from flow3r.evaluation.trajectory import trajectory_metrics
from flow3r.evaluation.truth import Truth


def score_clips(predictions: ClipPredictions, truth: EvaluationClips) -> list[dict[str, Any]]:
    """Score predictions for the same clips in the same order.

    Returns one {"scene": name, "metrics": {metric name: value}, "covariates": {name: value}} per
    clip, in the order of the clips; a value that is undefined for a scene is absent. Raises
    DataError if scenes, frames, size or pairs differ.
    """
    _check_match(predictions, truth)
    reference = Truth.of(truth)
    records = []
    for part in reference.parts():
        truth_part = reference.select(part)
        values = clip_metrics(predictions.select(part), truth_part)
        properties = clip_covariates(truth_part)
        for index, scene in enumerate(predictions.scenes[part]):
            found = {
                "metrics": defined_at(values, index),
                "covariates": defined_at(properties, index),
            }
            records.append({"scene": scene, **found})
    return records


def clip_metrics(predictions: ClipPredictions, truth: Truth) -> dict[str, np.ndarray]:
    """Every metric of every clip, [M] each, NaN where undefined; in the order of the tables."""
    values = pose_metrics(predictions.world_from_camera, truth)
    values |= geometry_metrics(predictions.local_points, predictions.world_from_camera, truth)
    if predictions.target_px is not None:
        values |= flow_metrics(
            predictions.target_px, truth.target_px, truth.covisibility, truth.moving, truth.pairs
        )
    return {name: values[name] for name in METRICS if name in values}


def pose_metrics(world_from_camera: np.ndarray, truth: Truth) -> dict[str, np.ndarray]:
    """Relative-pose and trajectory metrics, [M] each."""
    return {
        **relative_pose_metrics(world_from_camera, truth.world_from_camera),
        **trajectory_metrics(world_from_camera, truth.world_from_camera),
    }


def geometry_metrics(
    local_points: np.ndarray,
    world_from_camera: np.ndarray,
    truth: Truth,
    queries: int = QUERY_POINTS,
) -> dict[str, np.ndarray]:
    """Pointmap and depth metrics, [M] each; `queries` nearest neighbours per clip are sought."""
    return {
        **pointmap_metrics(
            to_world(local_points, world_from_camera),
            truth.points,
            truth.depth > 0,
            truth.moving,
            truth.world_from_camera[:, 0, :3, 3],
            queries,
        ),
        **depth_metrics(local_points[..., 2], truth.depth, truth.moving),
    }


def summarise(scenes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The unweighted mean of each metric over the scenes that define it.

    A metric that no scene defines is absent.
    """
    summary = {}
    for name in METRICS:
        values = [scene["metrics"][name] for scene in scenes if name in scene["metrics"]]
        if values:
            summary[name] = float(np.mean(values))
    return summary


def _check_match(predictions: ClipPredictions, truth: EvaluationClips) -> None:
    if predictions.scenes != truth.scenes:
        different = [
            f"{a!r} instead of {b!r}" for a, b in zip(predictions.scenes, truth.scenes) if a != b
        ]
        raise DataError(
            f"predictions are for {len(predictions)} other clips than the {len(truth.scenes)} of "
            f"the benchmark; first difference: {(different or ['their number'])[0]}"
        )
    expected = tuple(truth.labelled.depth.shape)
    found = predictions.local_points.shape[:-1]
    if found != expected:
        raise DataError(f"predictions have clips, frames and size {found}, the truth {expected}")
    if predictions.pairs is not None and not np.array_equal(
        predictions.pairs, truth.labelled.flow.pairs.cpu().numpy()
    ):
        raise DataError(
            f"flow was predicted for pairs {predictions.pairs.tolist()}, the truth has "
            f"{truth.labelled.flow.pairs.tolist()}"
        )
