"""Every benchmark as its config says: perfect, moved, perturbed predictions of an exact scene."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from experiments.protocols import load_protocol, protocol_names
from flow3r.data.scenes import Frame, Scene
from flow3r.evaluation.names import metric
from flow3r.evaluation.protocols.loading import input_images, protocol_frames, scene_truth
from flow3r.evaluation.protocols.score import score_scene
from flow3r.evaluation.protocols.summary import POOLINGS, summarise_scenes
from flow3r.evaluation.sequence import SequencePrediction
from flow3r.geometry.camera import unproject

FRAMES, HEIGHT, WIDTH = 130, 24, 32
"""Frames of most scenes; one of a protocol with a wide stride is as long as three frames take."""
RATIOS = ("normal_consistency", "normal_consistency_median")
TURN = 0.2
"""Radians by which the last camera is turned."""


def small(name):
    """The protocol at a small size, with few asking points."""
    return load_protocol(name, {"size.width": 28, "points.queries": 500, "frames.minimum": 2})


@pytest.fixture(scope="module")
def scenes():
    """The scene to score a protocol on, by its name."""
    of_length = cache(wavy_wall)
    return lambda name: of_length(max(FRAMES, 2 * small(name).frames.step + 1))


def wavy_wall(count):
    """A room-sized wavy wall; the camera moves in three dimensions."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH] / WIDTH
    intrinsics = np.array([[28.0, 0, 15.5], [0, 28.0, 11.5], [0, 0, 1]])
    frames = []
    for index in range(count):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_rotvec(0.1 * rng.normal(size=3)).as_matrix()
        pose[:3, 3] = rng.normal(size=3)
        waves = 3.0 + 0.4 * np.sin(3 * x + 0.2 * index) + 0.3 * np.cos(4 * y)
        image = partial(np.full, (HEIGHT, WIDTH, 3), index % 256, np.uint8)
        frames.append(Frame(f"{index:04d}", image, waves.astype(np.float32), intrinsics, pose))
    return Scene("group/one", tuple(frames), False, True)


def perfect(truth, scale=1.0, motion=None):
    """The truth in another scale and world frame; without poses where the truth has none."""
    depth, intrinsics = torch.from_numpy(truth.depth), torch.from_numpy(truth.intrinsics)
    local = (scale * unproject(depth.double(), intrinsics)).float().numpy()
    poses = truth.world_from_camera
    if poses is not None:
        poses = poses.copy()
        poses[:, :3, 3] *= scale
        poses = poses if motion is None else motion @ poses
    return SequencePrediction(truth.scene, truth.frames, poses, local)


def shown(protocol, scene):
    frames = protocol_frames(protocol, scene)
    return scene_truth(protocol, scene, frames), frames


def check_perfect(protocol, record):
    for name, value in record["metrics"].items():
        best = 1.0 if name in RATIOS else 100.0 if metric(name).direction == "up" else 0.0
        assert value == pytest.approx(best, abs=5e-3 if name in RATIOS else 2e-5), name
    undefined = set(protocol.metrics) - set(record["metrics"])
    poses = {n for n in protocol.metrics if n.startswith(("rra", "rta", "auc", "ate", "rpe"))}
    assert undefined <= (poses if record["frames"] < 3 else set())


@pytest.mark.parametrize("name", protocol_names())
def test_perfect_and_moved_predictions_score_perfectly(name, scenes):
    protocol = small(name)
    truth, frames = shown(protocol, scenes(name))
    pictures = input_images(protocol, frames)
    assert pictures.shape == (len(frames), *pictures.shape[1:3], 3)
    assert all(side % 14 == 0 for side in pictures.shape[1:3])
    if protocol.size.compare == "input":
        assert truth.depth.shape == pictures.shape[:3]
    else:
        assert truth.depth.shape == (len(frames), HEIGHT, WIDTH)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec([0.3, -1.0, 0.5]).as_matrix()
    motion[:3, 3] = [4.0, -2.0, 1.0]
    records = [
        score_scene(protocol, truth, prediction, 1)
        for prediction in (perfect(truth), perfect(truth, 0.05, motion))
    ]
    for record in records:
        check_perfect(protocol, record)
    for pooling in POOLINGS:
        check_perfect(
            protocol, {**records[0], "metrics": summarise_scenes(protocol, records, pooling)}
        )


@pytest.mark.parametrize("name", protocol_names())
def test_a_known_perturbation_gives_the_score_by_hand(name, scenes):
    protocol = small(name)
    truth, frames = shown(protocol, scenes(name))
    prediction = perfect(truth)
    count = len(frames)
    if protocol.family == "depth":
        # One frame half as far again: apart it is aligned away, together it keeps its error.
        points = prediction.local_points.copy()
        points[-1] *= 1.5
        bent = SequencePrediction(truth.scene, truth.frames, None, points)
        found = score_scene(protocol, truth, bent)["metrics"]
        share = 0.0 if protocol.single_frames else 1.0 / count
        assert found["depth_abs_rel"] == pytest.approx(0.5 * share, abs=1e-6)
        assert found["depth_delta_1"] == pytest.approx(100.0 * (1 - share))
        assert found["depth_log_rmse"] == pytest.approx(np.log(1.5) * np.sqrt(share), abs=1e-6)
        return
    assert count >= 3
    poses = prediction.world_from_camera.copy()
    poses[-1, :3, :3] = poses[-1, :3, :3] @ Rotation.from_rotvec([0, TURN, 0]).as_matrix()
    turned = SequencePrediction(truth.scene, truth.frames, poses, prediction.local_points)
    found = score_scene(protocol, truth, turned)["metrics"]
    if "rra_5" in protocol.metrics:
        assert found["rra_5"] == pytest.approx(100.0 * (1 - 2 / count))
        assert found["rra_15"] == 100.0
    if "ate" in protocol.metrics:
        assert found["ate"] == pytest.approx(0.0, abs=1e-9)
        expected = np.degrees(TURN) / np.sqrt(count - 1)
        assert found["rpe_rotation"] == pytest.approx(expected, rel=1e-9)
    # At most the points of one frame move, by 2 sin(0.1) of their distance to the camera.
    depths = np.linalg.norm(prediction.local_points[-1], axis=-1)
    first = truth.world_from_camera[0, :3, 3]
    points = turned.points()
    true = perfect(truth).points()
    length = np.linalg.norm(true - first, axis=-1).mean()
    unaligned = ((points - true) ** 2).sum(axis=-1).mean() / length**2
    assert unaligned <= (2 * np.sin(TURN / 2)) ** 2 * (depths**2).mean() / count / length**2
    assert 0 < found["pointmap_mse"] <= unaligned
