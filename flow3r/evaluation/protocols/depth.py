"""Depth metrics of a sequence or of single images."""

from __future__ import annotations

import numpy as np

from flow3r.errors import DataError
from flow3r.evaluation.protocols.depth_alignment import ALIGNMENTS
from flow3r.evaluation.protocols.protocol import DepthRules
from flow3r.evaluation.protocols.size import resized_depth

MIN_DEPTH = 1e-6
"""Aligned predictions are cut off below here: a shift may move them behind the camera."""
DELTA = 1.25


def depth_metrics(
    rules: DepthRules,
    predicted: np.ndarray,  # [N, h, w] z
    truth: np.ndarray,  # [N, H, W] z, 0 = none
) -> tuple[dict[str, float], int]:
    """The depth metrics of a scene, and its number of counted pixels; empty without any.

    One alignment for all frames, or one for each (`rules.per`); then each metric is the mean over
    frames weighted by their pixels. Raises DataError where most predictions are not in front.
    """
    pairs = [_counted(rules, p, g) for p, g in zip(predicted, truth, strict=True)]
    pairs = [(p, g) for p, g in pairs if len(p)]
    if not pairs:
        return {}, 0
    if rules.per == "sequence":
        pairs = [tuple(np.concatenate(parts) for parts in zip(*pairs))]
    if any(np.median(p) <= 0 for p, _ in pairs):
        raise DataError("predicted depths are not positive: their median is not")
    align = ALIGNMENTS[rules.alignment]
    found = [depth_errors(_aligned(rules, p, align(p, g)), g) for p, g in pairs]
    weights = np.array([len(p) for p, _ in pairs])
    means = {n: float(np.average([f[n] for f in found], weights=weights)) for n in found[0]}
    return means, int(weights.sum())


def depth_errors(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    """The metrics of aligned positive depths [K] against true ones; strict thresholds for delta."""
    ratio = np.maximum(p / g, g / p)
    difference = p - g
    square = difference**2
    values = {
        "depth_abs_rel": float((np.abs(difference) / g).mean()),
        "depth_sq_rel": float((square / g).mean()),
        "depth_rmse": float(np.sqrt(square.mean())),
        "depth_log_rmse": float(np.sqrt(((np.log(p) - np.log(g)) ** 2).mean())),
    }
    for power in (1, 2, 3):
        values[f"depth_delta_{power}"] = 100.0 * float((ratio < DELTA**power).mean())
    return values


def _counted(
    rules: DepthRules, predicted: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true depth [K] of the pixels that count."""
    valid = truth > 0
    if rules.max_depth:
        valid &= truth < rules.max_depth
    resized = resized_depth(predicted, truth.shape)
    return resized[valid].astype(np.float64), truth[valid].astype(np.float64)


def _aligned(rules: DepthRules, p: np.ndarray, line: tuple[float, float]) -> np.ndarray:
    scale, shift = line
    return np.clip(scale * p + shift, MIN_DEPTH, rules.clip or None)
