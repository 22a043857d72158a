"""A small recorded scene with exact truth, and predictions made of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from flow3r.evaluation.protocols.protocol import Protocol
from flow3r.evaluation.protocols.truth import SceneTruth
from flow3r.evaluation.sequence import SequencePrediction
from flow3r.geometry.camera import unproject

EVERY_POSE_METRIC = tuple(f"{n}_{a}" for n in ("rra", "rta", "auc") for a in (5, 15, 30))
TRAJECTORY = ("ate", "rpe_translation", "rpe_rotation")
POINTS = (
    "pointmap_mse", "f_score_5", "f_score_5cm", "chamfer", "accuracy", "accuracy_median",
    "completeness", "completeness_median", "normal_consistency", "normal_consistency_median",
    "chamfer_icp",
)  # fmt: skip
DEPTH = ("depth_abs_rel", "depth_sq_rel", "depth_rmse", "depth_log_rmse",
         "depth_delta_1", "depth_delta_2", "depth_delta_3")  # fmt: skip


def make_truth(frames=4, height=18, width=24, seed=0, scene="hall/one", metric=True) -> SceneTruth:
    """A smooth surface about 3 m away, seen from a moving camera; one pixel without depth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / width
    waves = rng.uniform(2, 5, (frames, 4, 1, 1))
    depth = 3.0 + 0.4 * np.sin(waves[:, 0] * x + waves[:, 1]) + 0.3 * np.cos(waves[:, 2] * y)
    depth[:, 0, 0] = 0.0
    intrinsics = np.array([[width, 0, (width - 1) / 2], [0, width, (height - 1) / 2], [0, 0, 1.0]])
    poses = np.tile(np.eye(4), (frames, 1, 1))
    vectors = 0.15 * rng.normal(size=(frames, 3))
    poses[:, :3, :3] = Rotation.from_rotvec(vectors).as_matrix()
    poses[:, :3, 3] = rng.normal(size=(frames, 3))
    return SceneTruth(
        scene,
        tuple(f"{i:04d}" for i in range(frames)),
        poses,
        depth.astype(np.float32),
        np.tile(intrinsics, (frames, 1, 1)),
        metric,
    )


def perfect(truth: SceneTruth, scale=1.0, motion=None) -> SequencePrediction:
    """The truth as a prediction, in another scale and world frame."""
    depth = torch.from_numpy(truth.depth).double()
    depth = torch.where(depth > 0, depth, 3.0)  # a model predicts every pixel
    local = unproject(depth, torch.from_numpy(truth.intrinsics)).numpy() * scale
    poses = truth.world_from_camera.copy()
    poses[:, :3, 3] *= scale
    poses = poses if motion is None else motion @ poses
    return SequencePrediction(truth.scene, truth.frames, poses, local.astype(np.float32))


def some_motion(seed=1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(rng.normal(size=3)).as_matrix()
    motion[:3, 3] = rng.normal(size=3)
    return motion


def make_protocol(metrics=(*EVERY_POSE_METRIC, *TRAJECTORY, *POINTS), **changes) -> Protocol:
    fields = {"name": "test", "version": 1, "label": "Test", "family": "static"}
    fields |= {"dataset": "rgbd_folder", "source": "-", "metrics": metrics}
    return Protocol(**(fields | changes))


@pytest.fixture(scope="session")
def lab() -> SimpleNamespace:
    """truth(...), perfect(truth, scale, motion), motion(seed), protocol(metrics, **changes)."""
    return SimpleNamespace(
        truth=make_truth,
        perfect=perfect,
        motion=some_motion,
        protocol=make_protocol,
        depth_metrics=DEPTH,
    )
