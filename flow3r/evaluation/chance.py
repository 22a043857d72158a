"""Chance: the score of the best prediction that does not look at the images.

Every candidate predicts the same poses, the same local points and the same flow for all clips. For
each metric the best score over the candidates is taken, chosen on the scored scenes themselves, so
chance is never underestimated and "above chance" is a conservative claim. Candidates come from
*validation* clips (any clips of the benchmark's kind that are not its own):

- poses: standing still, the mean motion, and the motions of up to `POSE_DRAWS` validation clips,
  each of these also with the rotation replaced by the identity and by the mean rotation, and
  straight motions along the camera's axes and diagonals under these two rotations;
- local points: the mean depth map, the median depth map and a plane of constant depth, seen with
  the mean intrinsics, placed by standing still and by the mean motion (more would be slow, and a
  drawn motion fits the average clip worse than the mean);
- flow: none, the mean and the median displacement of every pixel, and the mean displacement of all.

Depths and translations are divided by each validation clip's mean depth before they are averaged:
metrics align the scale, but depth and motion share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from flow3r.data.clip import EvaluationClips
from flow3r.errors import DataError
from flow3r.evaluation.flow import COVISIBLE, flow_metrics
from flow3r.evaluation.names import METRICS
from flow3r.evaluation.score import geometry_metrics, pose_metrics
from flow3r.evaluation.truth import Truth
from flow3r.geometry.camera import pixel_grid, unproject

POSE_DRAWS = 64
PLACED = 2
"""Of the poses, only the first of the list place points."""
QUERIES = 256
"""Nearest neighbours sought per clip: a mean over a whole benchmark needs fewer than a scene."""
Score = Callable[[Truth], dict[str, np.ndarray]]
"""The metrics of one constant prediction on a part of a benchmark."""


def chance_scores(
    benchmark: EvaluationClips,
    validation: EvaluationClips,
    on_progress: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """The best mean score of a constant prediction, for every metric the benchmark defines.

    Deterministic. It depends on the data only: compute it once per benchmark. `on_progress` is
    called before each candidate. Raises DataError if the clips differ in frames, size or pairs.
    """
    truth, known = Truth.of(benchmark), Truth.of(validation)
    if truth.depth.shape[1:] != known.depth.shape[1:] or not np.array_equal(
        truth.pairs, known.pairs
    ):
        raise DataError("chance needs validation clips of the frames, size and pairs scored")
    best: dict[str, float] = {}
    for candidate in _candidates(known):
        on_progress()
        _keep_best(best, truth, candidate)
    return {name: best[name] for name in METRICS if name in best}


def _candidates(known: Truth) -> Iterator[Score]:
    motions = pose_candidates(known)
    for motion in motions:
        yield lambda part, m=motion: pose_metrics(_repeat(m, part), part)
    for motion in motions[:PLACED]:
        for points in points_candidates(known):
            yield lambda part, m=motion, p=points: _geometry(p, m, part)
    for target_px in flow_candidates(known):
        yield lambda part, f=target_px: _flow(f, part)


def pose_candidates(known: Truth) -> list[np.ndarray]:
    """Constant world_from_camera [N, 4, 4], the first camera at the origin.

    The order: standing still, the mean motion, the drawn motions, then the combinations.
    """
    motion = _normalised_motion(known)  # [V, N, 4, 4]
    mean = motion.mean(axis=0)
    mean[:, :3, :3] = _nearest_rotation(mean[:, :3, :3])
    still = np.broadcast_to(np.eye(4), mean.shape).copy()
    drawn = motion[np.linspace(0, len(motion) - 1, min(POSE_DRAWS, len(motion))).astype(int)]
    steps = np.arange(len(mean))[:, None] * _directions()[:, None]  # [D, N, 3]
    combined = []
    for rotations in (still, mean):
        for centres in [*drawn[:, :, :3, 3], *steps, mean[:, :3, 3]]:
            candidate = rotations.copy()
            candidate[:, :3, 3] = centres
            combined.append(candidate)
    return [still, mean, *drawn, *combined]


def points_candidates(known: Truth) -> list[np.ndarray]:
    """Constant local points [N, H, W, 3]: mean depth map, median depth map, plane."""
    scale = _mean_depth(known)[:, None, None, None]
    depth = np.where(known.depth > 0, known.depth / scale, np.nan)  # [V, N, H, W]
    unseen = np.isnan(depth).all(axis=0)
    filled = np.where(unseen, 1.0, depth)
    plane = np.ones(depth.shape[1:])
    maps = [np.nanmean(filled, axis=0), np.nanmedian(filled, axis=0), plane]
    intrinsics = torch.from_numpy(known.intrinsics.mean(axis=0).astype(np.float64))
    return [unproject(torch.from_numpy(depth_map), intrinsics).numpy() for depth_map in maps]


def flow_candidates(known: Truth) -> list[np.ndarray]:
    """Constant target coordinates [P, H, W, 2]: no motion, mean, median and global mean motion."""
    grid = pixel_grid(*known.depth.shape[2:], dtype=torch.float64).numpy()
    seen = (known.covisibility > COVISIBLE)[..., None]
    displacement = np.where(seen, known.target_px - grid, np.nan)  # [V, P, H, W, 2]
    displacement = np.where((~seen).all(axis=0), 0.0, displacement)
    mean = np.nanmean(displacement, axis=0)
    median = np.nanmedian(displacement, axis=0)
    overall = np.nanmean(displacement, axis=(0, 2, 3))[:, None, None]
    return [np.broadcast_to(grid + move, mean.shape) for move in (0.0, mean, median, overall)]


def _keep_best(best: dict[str, float], truth: Truth, score: Score) -> None:
    """Score one candidate, part by part, and keep what is better than before."""
    parts = [score(truth.select(part)) for part in truth.parts()]
    for name in parts[0]:
        value = np.concatenate([part[name] for part in parts])
        value = value[np.isfinite(value)]
        if not value.size:
            continue
        mean = float(value.mean())
        if name not in best or METRICS[name].better(mean, best[name]):
            best[name] = mean


def _geometry(points: np.ndarray, motion: np.ndarray, truth: Truth) -> dict[str, np.ndarray]:
    return geometry_metrics(_repeat(points, truth), _repeat(motion, truth), truth, QUERIES)


def _flow(target_px: np.ndarray, truth: Truth) -> dict[str, np.ndarray]:
    return flow_metrics(
        _repeat(target_px, truth), truth.target_px, truth.covisibility, truth.moving, truth.pairs
    )


def _repeat(constant: np.ndarray, truth: Truth) -> np.ndarray:
    return np.broadcast_to(constant, (len(truth), *constant.shape))


def _mean_depth(known: Truth) -> np.ndarray:
    """[V]; 1 for a clip without depth."""
    count = (known.depth > 0).sum(axis=(1, 2, 3))
    total = known.depth.astype(np.float64).sum(axis=(1, 2, 3))
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def _normalised_motion(known: Truth) -> np.ndarray:
    """Poses in the first camera's frame, translations in mean depths, [V, N, 4, 4]."""
    poses = known.world_from_camera.astype(np.float64)
    motion = np.linalg.inv(poses[:, :1]) @ poses
    motion[..., :3, 3] /= _mean_depth(known)[:, None, None]
    return motion


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(matrix)
    sign = np.sign(np.linalg.det(u @ vt))
    u[..., :, 2] *= sign[..., None]
    return u @ vt


def _directions() -> np.ndarray:
    """The 13 axes and diagonals of a cube up to sign (the metrics ignore it), [13, 3]."""
    cube = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return cube[14:].astype(np.float64)
