"""Angular errors of relative camera poses, and the accuracies and areas made of them.

The protocol is that of Pi3's `relpose` evaluation: all unordered pairs of frames, relative pose
camera j from camera i for i < j, sign-invariant translation direction, strict thresholds, and the
AUC with histogram bins of one degree.
"""

from __future__ import annotations

import numpy as np

from flow3r.evaluation.names import ANGLES

ZERO_TRANSLATION = 1e-6
"""Ground-truth translations up to this length (scene units) have no direction."""


def pair_errors(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation-direction errors of all unordered pairs, in degrees.

    `predicted` and `truth` are world_from_camera [..., N, 4, 4]; both results are [..., P] with
    the P = N (N - 1) / 2 pairs i < j in lexicographic order. The translation error lies in
    [0, 90]: a translation in the opposite direction scores 0. A predicted pose that is not finite
    has infinite errors, as has the direction of a predicted translation of length zero. Where the
    *true* translation is zero the direction error is NaN: undefined.
    """
    p_rotation, p_translation = _relative(np.asarray(predicted, np.float64))
    t_rotation, t_translation = _relative(np.asarray(truth, np.float64))
    return (
        _rotation_error(p_rotation, t_rotation),
        _direction_error(p_translation, t_translation),
    )


def accuracy(errors: np.ndarray, threshold: float) -> np.ndarray:
    """Percentage [...] of the defined errors [..., P] strictly below `threshold`.

    NaN errors (undefined pairs) do not count; the result is NaN where no pair is defined.
    """
    return _mean_defined((errors < threshold).astype(np.float64), ~np.isnan(errors)) * 100.0


def area_under_curve(rotation: np.ndarray, translation: np.ndarray, threshold: int) -> np.ndarray:
    """Area [...] in percent under the accuracy curve of max(rotation, translation) [..., P].

    As `numpy.histogram` with one-degree bins over [0, threshold], the last bin closed, divided by
    the number of pairs, cumulated and averaged: a pair of error e counts (threshold - floor(e)) /
    threshold, and e = threshold counts 1 / threshold. Pairs without a translation direction do not
    count.
    """
    error = np.maximum(rotation, translation)  # NaN where the direction is undefined
    inside = error <= threshold
    bin_index = np.minimum(np.floor(np.where(inside, error, 0.0)), threshold - 1)
    credit = np.where(inside, (threshold - bin_index) / threshold, 0.0)
    return _mean_defined(credit, ~np.isnan(error)) * 100.0


def relative_pose_metrics(predicted: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """RRA, RTA and AUC (percent) per clip from world_from_camera [M, N, 4, 4]; each [M].

    NaN marks a clip for which the metric is undefined.
    """
    rotation, translation = pair_errors(predicted, truth)
    values = {f"rra_{angle}": accuracy(rotation, angle) for angle in ANGLES}
    values |= {f"rta_{angle}": accuracy(translation, angle) for angle in ANGLES}
    values |= {f"auc_{angle}": area_under_curve(rotation, translation, angle) for angle in ANGLES}
    return values


def _relative(world_from_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations [..., P, 3, 3] and translations [..., P, 3] of camera j from camera i."""
    first, second = np.triu_indices(world_from_camera.shape[-3], k=1)
    rotation = world_from_camera[..., :3, :3]
    centre = world_from_camera[..., :3, 3]
    j_from_world = np.swapaxes(rotation[..., second, :, :], -1, -2)
    offset = centre[..., first, :] - centre[..., second, :]
    return (
        j_from_world @ rotation[..., first, :, :],
        np.einsum("...ij,...j->...i", j_from_world, offset),
    )


def _rotation_error(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    delta = predicted @ np.swapaxes(truth, -1, -2)  # [..., P, 3, 3]
    axis = np.stack(
        [
            delta[..., 2, 1] - delta[..., 1, 2],
            delta[..., 0, 2] - delta[..., 2, 0],
            delta[..., 1, 0] - delta[..., 0, 1],
        ],
        axis=-1,
    )
    sine = np.linalg.norm(axis, axis=-1)
    cosine = np.trace(delta, axis1=-2, axis2=-1) - 1.0
    # atan2 of (2 sin, 2 cos): exact at 0, where acos of the trace loses half of the digits.
    angle = np.degrees(np.arctan2(sine, cosine))
    return np.where(np.isfinite(delta).all(axis=(-1, -2)), angle, np.inf)


def _direction_error(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    p_length = np.linalg.norm(predicted, axis=-1)
    t_length = np.linalg.norm(truth, axis=-1)
    usable = np.isfinite(p_length) & (p_length > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        p_unit = predicted / p_length[..., None]
        t_unit = truth / t_length[..., None]
        # The angle of the squared cosine, acos sqrt(cos^2), in its well-conditioned form.
        cosine = np.abs((p_unit * t_unit).sum(axis=-1))
        sine = np.linalg.norm(np.cross(p_unit, t_unit), axis=-1)
        angle = np.degrees(np.arctan2(sine, cosine))
    error = np.where(usable, angle, np.inf)
    return np.where(t_length > ZERO_TRANSLATION, error, np.nan)


def _mean_defined(values: np.ndarray, defined: np.ndarray) -> np.ndarray:
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
