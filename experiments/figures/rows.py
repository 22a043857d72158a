"""What a figure shows of one clip: truth and aligned prediction as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from experiments.figures.choice import Choice
from flow3r.data.clip import EvaluationClips
from flow3r.evaluation.alignment import median_scale
from flow3r.evaluation.flow import COVISIBLE
from flow3r.evaluation.pointmap import masked_mean, to_world
from flow3r.evaluation.predictions import ClipPredictions
from flow3r.evaluation.relative_pose import pair_errors
from flow3r.evaluation.truth import Truth
from flow3r.geometry.similarity import umeyama


@dataclass(frozen=True)
class FlowRow:
    """Displacements of the shown pair, in pixels."""

    truth: np.ndarray  # [H, W, 2]
    predicted: np.ndarray  # [H, W, 2]
    covisible: np.ndarray  # [H, W] bool

    @property
    def error(self) -> np.ndarray:
        """End-point error [H, W]."""
        return np.linalg.norm(self.predicted - self.truth, axis=-1)

    @property
    def mean_error(self) -> float:
        """Over the covisible pixels; NaN without any."""
        return float(masked_mean(self.error.ravel(), self.covisible.ravel()))


@dataclass(frozen=True)
class CloudRow:
    """Points and cameras of all frames, in the axes of the first true camera."""

    truth: np.ndarray  # [K, 3]
    predicted: np.ndarray  # [K, 3] after the Sim(3) alignment of all known points
    colours: np.ndarray  # [K, 3] of the images
    true_cameras: np.ndarray  # [N, 4, 4] first camera from camera
    predicted_cameras: np.ndarray  # [N, 4, 4] aligned with the points, rotations kept rigid
    rotation_error: float
    """Degrees; the mean over all pairs of frames."""


@dataclass(frozen=True)
class Row:
    """One clip. The shown pair is the first pair of the benchmark."""

    choice: Choice
    source: np.ndarray  # [H, W, 3]
    target: np.ndarray  # [H, W, 3]
    true_depth: np.ndarray  # [H, W], 0 = none
    depth: np.ndarray  # [H, W] predicted, in the scale of the truth
    flow: FlowRow | None  # None: the formulation has no flow head
    cloud: CloudRow

    @property
    def depth_error(self) -> float:
        """Mean |prediction - truth| / truth of the shown frame."""
        known = self.true_depth > 0
        relative = np.abs(self.depth - self.true_depth) / np.where(known, self.true_depth, 1.0)
        return float(masked_mean(relative.ravel(), known.ravel()))


def make_row(choice: Choice, predictions: ClipPredictions, clips: EvaluationClips) -> Row:
    """The row of one clip (both arguments hold exactly that one)."""
    truth = Truth.of(clips)
    images = clips.labelled.images[0].permute(0, 2, 3, 1).numpy()  # [N, H, W, 3]
    source, target = truth.pairs[0]
    depth = predictions.local_points[..., 2]
    known = truth.depth > 0
    scale = median_scale(depth.reshape(1, -1), truth.depth.reshape(1, -1), known.reshape(1, -1))
    return Row(
        choice=choice,
        source=images[source],
        target=images[target],
        true_depth=truth.depth[0, source],
        depth=depth[0, source] * scale[0],
        flow=_flow_row(predictions, truth),
        cloud=_cloud_row(predictions, truth, images),
    )


def _flow_row(predictions: ClipPredictions, truth: Truth) -> FlowRow | None:
    if predictions.target_px is None:
        return None
    height, width = truth.depth.shape[2:]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    return FlowRow(
        truth=truth.target_px[0, 0] - grid,
        predicted=predictions.target_px[0, 0] - grid,
        covisible=truth.covisibility[0, 0] > COVISIBLE,
    )


def _cloud_row(predictions: ClipPredictions, truth: Truth, images: np.ndarray) -> CloudRow:
    known = (truth.depth > 0).reshape(-1)
    points = truth.points.reshape(-1, 3)
    predicted = to_world(predictions.local_points, predictions.world_from_camera).reshape(-1, 3)
    similarity = umeyama(
        torch.from_numpy(predicted), torch.from_numpy(points), torch.from_numpy(known.astype(float))
    )
    cameras = predictions.world_from_camera[0].astype(np.float64)
    centres = similarity.apply(torch.from_numpy(cameras[:, :3, 3])).numpy()
    aligned = cameras.copy()
    aligned[:, :3, :3] = similarity.rotation.numpy() @ cameras[:, :3, :3]
    aligned[:, :3, 3] = centres
    first = np.linalg.inv(truth.world_from_camera[0, 0].astype(np.float64))
    moved = similarity.apply(torch.from_numpy(predicted)).numpy()
    rotation, _ = pair_errors(predictions.world_from_camera[0], truth.world_from_camera[0])
    return CloudRow(
        truth=_move(first, points[known]),
        predicted=_move(first, moved[known]),
        colours=images.reshape(-1, 3)[known],
        true_cameras=first @ truth.world_from_camera[0],
        predicted_cameras=first @ aligned,
        rotation_error=float(rotation.mean()),
    )


def _move(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:3, :3].T + transform[:3, 3]
