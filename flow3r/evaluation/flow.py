"""End-point error of predicted flow."""

from __future__ import annotations

import numpy as np

from flow3r.evaluation.pointmap import split_means

COVISIBLE = 0.5
"""Pixels of a larger covisibility count."""


def flow_metrics(
    predicted_px: np.ndarray,  # [M, P, H, W, 2]
    truth_px: np.ndarray,  # [M, P, H, W, 2]
    covisibility: np.ndarray,  # [M, P, H, W]
    moving: np.ndarray,  # [M, N, H, W] bool
    pairs: np.ndarray,  # [P, 2] (source, target)
) -> dict[str, np.ndarray]:
    """`flow_epe` (and `_moving`, `_static`) per clip in pixels, each [M].

    The mean distance of predicted and true target coordinates over the covisible pixels of all
    pairs; a pixel is moving if its source pixel lies on a moving object. NaN where there is no such
    pixel.
    """
    clips = len(predicted_px)
    difference = predicted_px.astype(np.float64) - truth_px
    error = np.linalg.norm(difference, axis=-1).reshape(clips, -1)
    source_moving = moving[:, pairs[:, 0]].reshape(clips, -1)
    return split_means(
        "flow_epe", error, (covisibility > COVISIBLE).reshape(clips, -1), source_moving
    )
