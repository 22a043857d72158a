"""Absolute trajectory error and relative pose error, as evo computes them.

evo's protocol in Pi3: Sim(3) Umeyama alignment of the camera centres, then the root mean square of
the position errors (ATE), and of the translation and the rotation of the relative pose errors
between consecutive frames (RPE: delta 1 frame, all pairs). Our own code, because a training machine
has no evo; the tests hold it to evo.
"""

from __future__ import annotations

import numpy as np

from flow3r.evaluation.alignment import align_similarity


def trajectory_metrics(predicted: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """`ate`, `rpe_translation` (scene units) and `rpe_rotation` (degrees) per clip, each [M].

    `predicted` and `truth` are finite world_from_camera [M, N, 4, 4]. NaN (undefined) for N < 3 and
    where the true camera centres lie on one line, for which evo refuses the alignment. evo refuses
    a *predicted* line or point as well; here it is scored (dropping the scene would reward it):
    the least-squares optimum exists, with scale 0 for a prediction that stands still, and neither
    ATE nor RPE depends on the part of the rotation that is then free.
    """
    predicted = np.asarray(predicted, np.float64)
    truth = np.asarray(truth, np.float64)
    clips, frames = predicted.shape[:2]
    if frames < 3:
        nothing = np.full(clips, np.nan)
        return {name: nothing.copy() for name in ("ate", "rpe_translation", "rpe_rotation")}
    centres = truth[..., :3, 3]
    aligned, scale = align_similarity(
        predicted[..., :3, 3], centres, np.ones((clips, frames), dtype=bool)
    )
    translation, rotation = _relative_errors(predicted, truth, scale)
    values = {
        "ate": _rms(np.linalg.norm(aligned - centres, axis=-1)),
        "rpe_translation": _rms(translation),
        "rpe_rotation": _rms(rotation),
    }
    on_a_line = _on_a_line(centres)
    return {name: np.where(on_a_line, np.nan, value) for name, value in values.items()}


def _relative_errors(
    predicted: np.ndarray, truth: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Length and angle (degrees) of inverse(true motion) @ predicted motion, [M, N - 1] each.

    Of the alignment only the scale matters: a motion between two frames, seen from the first, does
    not change with the world frame.
    """
    p_rotation, p_motion = _motion(predicted)
    t_rotation, t_motion = _motion(truth)
    # |R^T (a - b)| = |a - b|: the true rotation drops out of the length.
    length = np.linalg.norm(scale[:, None, None] * p_motion - t_motion, axis=-1)
    delta = np.swapaxes(t_rotation, -1, -2) @ p_rotation
    axis = delta - np.swapaxes(delta, -1, -2)
    sine = np.sqrt((axis**2).sum(axis=(-1, -2)) / 2.0)
    cosine = np.trace(delta, axis1=-2, axis2=-1) - 1.0
    return length, np.degrees(np.arctan2(sine, cosine))


def _motion(world_from_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = world_from_camera[:, :-1], world_from_camera[:, 1:]
    camera_from_world = np.swapaxes(first[..., :3, :3], -1, -2)
    offset = second[..., :3, 3] - first[..., :3, 3]
    return (
        camera_from_world @ second[..., :3, :3],
        np.einsum("...ij,...j->...i", camera_from_world, offset),
    )


def _on_a_line(centres: np.ndarray) -> np.ndarray:
    """Whether the centres [M, N, 3] span less than a plane, to a relative 1e-6."""
    spread = np.linalg.svd(centres - centres.mean(axis=1, keepdims=True), compute_uv=False)
    return spread[:, 1] <= 1e-6 * np.maximum(np.abs(centres).max(axis=(1, 2)), 1e-30)


def _rms(errors: np.ndarray) -> np.ndarray:
    return np.sqrt((errors**2).mean(axis=-1))
