"""What kind of scene it is: properties of the truth alone, beside the scores and no scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from flow3r.evaluation.flow import COVISIBLE
from flow3r.evaluation.pointmap import masked_mean
from flow3r.evaluation.relative_pose import pair_errors
from flow3r.evaluation.truth import Truth


def clip_covariates(truth: Truth) -> dict[str, np.ndarray]:
    """The covariates of `names.COVARIATES` for every clip, [M] each, NaN where undefined.

    They are equal for every model, so that an error can be plotted against them.
    """
    clips = len(truth)
    covisible = (truth.covisibility > COVISIBLE).reshape(clips, -1)
    length = np.linalg.norm(truth.target_px - _grid(truth), axis=-1)  # [M, P, H, W]
    known = (truth.depth > 0).reshape(clips, -1)
    moving = truth.moving.reshape(clips, -1).astype(np.float64)
    rotation, _ = pair_errors(np.broadcast_to(np.eye(4), truth.world_from_camera.shape),
                              truth.world_from_camera)  # fmt: skip
    return {
        "moving_share": 100.0 * masked_mean(moving, known),
        "covisibility": 100.0 * covisible.mean(axis=1),
        "flow_length": masked_mean(length.reshape(clips, -1).astype(np.float64), covisible),
        "camera_rotation": rotation.mean(axis=1),
    }


def defined_at(values: Mapping[str, np.ndarray], index: int) -> dict[str, float]:
    """The finite values of one clip."""
    found = {name: float(value[index]) for name, value in values.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _grid(truth: Truth) -> np.ndarray:
    """Pixel coordinates (x, y), [H, W, 2]."""
    height, width = truth.depth.shape[2:]
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
