import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow3r.errors import DataError
from flow3r.evaluation.names import metric
from flow3r.evaluation.protocols.protocol import DepthRules, PointRules, PoseRules
from flow3r.evaluation.protocols.score import score_scene
from flow3r.evaluation.sequence import SequencePrediction

RATIOS = ("normal_consistency", "normal_consistency_median")


def best(name):
    if name in RATIOS:
        return 1.0
    return 100.0 if metric(name).direction == "up" else 0.0


@pytest.mark.parametrize("moved", [False, True], ids=["exact", "moved"])
@pytest.mark.parametrize("icp_unit", ["scene", "mean_distance"])
def test_a_perfect_prediction_scores_perfectly(lab, moved, icp_unit):
    truth, protocol = lab.truth(), lab.protocol(points=PointRules(icp_unit=icp_unit))
    prediction = lab.perfect(truth, 0.02, lab.motion()) if moved else lab.perfect(truth)
    record = score_scene(protocol, truth, prediction)
    assert tuple(record["metrics"]) == protocol.metrics
    for name, value in record["metrics"].items():
        tolerance = 2e-3 if name in RATIOS else 2e-5
        assert value == pytest.approx(best(name), abs=tolerance), name


@pytest.mark.parametrize("alignment", ["scale_shift", "scale_shift_published", "scale", "median"])
@pytest.mark.parametrize("per", ["sequence", "frame"])
def test_perfect_depth_scores_perfectly_at_any_scale(lab, alignment, per):
    rules = DepthRules(alignment, per)
    protocol = lab.protocol(lab.depth_metrics, family="depth", depth=rules)
    truth = lab.truth()
    record = score_scene(protocol, truth, lab.perfect(truth, 0.5, lab.motion()))
    assert tuple(record["metrics"]) == protocol.metrics
    assert record["weights"] == {"pixels": int((truth.depth > 0).sum())}
    for name, value in record["metrics"].items():
        # The published steps leave the optimum they start at, and come back within 1e-3 of it.
        tolerance = 2e-3 if alignment == "scale_shift_published" else 1e-6
        assert value == pytest.approx(best(name), abs=tolerance), name


def test_metric_depth_is_not_aligned(lab):
    protocol = lab.protocol(lab.depth_metrics, family="depth", depth=DepthRules("metric"))
    truth = lab.truth()
    found = score_scene(protocol, truth, lab.perfect(truth, 1.2))["metrics"]
    assert found["depth_abs_rel"] == pytest.approx(0.2, abs=1e-6)
    assert found["depth_delta_1"] == 100.0
    assert score_scene(protocol, truth, lab.perfect(truth, 1.3))["metrics"]["depth_delta_1"] == 0.0


def test_a_turned_camera_by_hand(lab):
    truth = lab.truth(frames=4)
    prediction = lab.perfect(truth)
    poses = prediction.world_from_camera.copy()
    poses[3, :3, :3] = poses[3, :3, :3] @ Rotation.from_rotvec([0, 0.2, 0]).as_matrix()
    turned = dataclasses.replace(prediction, world_from_camera=poses)
    found = score_scene(lab.protocol(), truth, turned)["metrics"]
    # 0.2 rad = 11.459 degrees in the three pairs with frame 3, of six
    assert found["rra_5"] == pytest.approx(50.0)
    assert found["rra_15"] == 100.0
    assert found["rpe_rotation"] == pytest.approx(np.degrees(0.2) / np.sqrt(3), rel=1e-9)
    assert found["ate"] == pytest.approx(0.0, abs=1e-12)
    # AUC@30 of an error of 11.459: bin 11, (30 - 11) / 30. The direction in the turned camera is
    # off by at most as much as the camera.
    assert found["auc_30"] == pytest.approx(100 * (3 + 3 * 19 / 30) / 6)


def test_a_wall_in_front_of_the_wall_by_hand(lab):
    """Half of the points lie 0.4 in front: one plane and its copy, too far apart for ICP."""
    size, frames = 32, 2
    truth = lab.truth(frames, size, size)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    depth = np.full((frames, size, size), 2.0, np.float32)
    truth = dataclasses.replace(truth, depth=depth, world_from_camera=poses)
    points = lab.perfect(truth).points().copy()
    points[1, ..., 2] += 0.4
    points[0, ..., 2] -= 0.4  # symmetric: the best similarity turns nothing
    prediction = SequencePrediction(truth.scene, truth.frames, world_points=points)
    found = score_scene(lab.protocol(), truth, prediction)["metrics"]
    x = truth.intrinsics[0]
    square = ((np.arange(size) - x[0, 2]) / size * 2.0) ** 2
    spread = 2 * square.mean()  # of x and y; scale = <a, b> / <a, a> about the mean
    scale = spread / (spread + 0.16)
    mse = (1 - scale) ** 2 * spread + (0.4 * scale) ** 2
    y = (np.arange(size) - x[1, 2]) / size * 2.0
    length = np.sqrt(y[:, None] ** 2 + square[None] + 4.0).mean()
    assert found["pointmap_mse"] == pytest.approx(mse / length**2, rel=1e-5)
    distance = 0.4 * scale
    assert found["f_score_5cm"] == found["f_score_5"] == 0.0
    assert found["normal_consistency"] == pytest.approx(1.0, abs=1e-6)
    # The nearest point is the one in front, up to half a pixel's step sideways.
    step = 2.0 / size
    assert distance <= found["accuracy"] <= np.hypot(distance, step)
    assert found["chamfer_icp"] == (found["accuracy"] + found["completeness"]) / 2
    assert found["chamfer"] == pytest.approx(found["chamfer_icp"] / length)  # ICP found no match


def test_f_scores_count_under_five_per_cent_and_five_centimetres(lab):
    truth = lab.truth()
    rng = np.random.default_rng(0)
    prediction = lab.perfect(truth)
    noise = rng.normal(size=prediction.local_points.shape) * 0.1
    noisy = dataclasses.replace(
        prediction, local_points=(prediction.local_points + noise).astype(np.float32)
    )
    found = score_scene(lab.protocol(), truth, noisy)["metrics"]
    assert 0 < found["f_score_5cm"] < found["f_score_5"] < 100  # 5 % of 3 m is 15 cm
    free = score_scene(lab.protocol(), dataclasses.replace(truth, metric=False), noisy)["metrics"]
    assert "f_score_5cm" not in free
    assert free["f_score_5"] == found["f_score_5"]


def test_depth_limits_leave_pixels_out(lab):
    truth = lab.truth()
    far = np.where(truth.depth > 3.0, 50.0, truth.depth).astype(np.float32)
    limited = lab.protocol(points=PointRules(max_depth=10.0))
    prediction = lab.perfect(truth)
    damaged = dataclasses.replace(truth, depth=far)
    found = score_scene(limited, damaged, prediction)["metrics"]
    assert found["pointmap_mse"] == pytest.approx(0.0, abs=1e-10)
    assert score_scene(lab.protocol(), damaged, prediction)["metrics"]["pointmap_mse"] > 0.1
    rules = DepthRules("median", max_depth=10.0)
    depth = lab.protocol(lab.depth_metrics, family="depth", depth=rules)
    record = score_scene(depth, damaged, prediction)
    assert record["metrics"]["depth_abs_rel"] == pytest.approx(0.0, abs=1e-6)
    assert record["weights"]["pixels"] == ((far > 0) & (far < 10)).sum()


def test_a_spread_of_one_is_the_unit_of_a_truth_without_scale(lab):
    truth = lab.truth(frames=6)
    big = dataclasses.replace(truth, world_from_camera=_scaled(truth.world_from_camera, 70.0))
    protocol = lab.protocol(("ate", "rpe_translation"), poses=PoseRules("pairs", "spread"))
    still = SequencePrediction(truth.scene, truth.frames, np.tile(np.eye(4), (6, 1, 1)))
    first, second = (score_scene(protocol, t, still)["metrics"] for t in (truth, big))
    assert first["ate"] == pytest.approx(1.0)
    assert second == pytest.approx(first)


def test_what_is_missing_is_not_scored(lab):
    truth, protocol = lab.truth(), lab.protocol()
    poses = SequencePrediction(truth.scene, truth.frames, truth.world_from_camera)
    found = score_scene(protocol, truth, poses)["metrics"]
    assert "rra_30" in found
    assert "pointmap_mse" not in found
    points = SequencePrediction(truth.scene, truth.frames, world_points=lab.perfect(truth).points())
    found = score_scene(protocol, truth, points)["metrics"]
    assert "rra_30" not in found
    assert found["f_score_5"] == pytest.approx(100.0)
    without = dataclasses.replace(truth, depth=None, intrinsics=None)
    assert "pointmap_mse" not in score_scene(protocol, without, lab.perfect(truth))["metrics"]
    empty = dataclasses.replace(truth, depth=np.zeros_like(truth.depth))
    assert "chamfer" not in score_scene(protocol, empty, lab.perfect(truth))["metrics"]
    depth = lab.protocol(lab.depth_metrics, family="depth")
    assert score_scene(depth, empty, lab.perfect(truth))["metrics"] == {}


def test_one_frame_has_points_and_no_poses(lab):
    truth = lab.truth(frames=1)
    record = score_scene(lab.protocol(), truth, lab.perfect(truth, 3.0))
    assert record["metrics"]["accuracy"] == pytest.approx(0.0, abs=1e-5)
    assert not {"rra_5", "ate", "auc_30"} & set(record["metrics"])
    assert record["weights"] == {"pairs": 0, "directed_pairs": 0}


def test_other_frames_are_refused(lab):
    truth = lab.truth()
    prediction = lab.perfect(truth)
    other = dataclasses.replace(prediction, frames=("a", "b", "c", "d"))
    with pytest.raises(DataError, match="'0000' is not predicted"):
        score_scene(lab.protocol(), truth, other)
    with pytest.raises(DataError, match="hall/two"):
        score_scene(lab.protocol(), dataclasses.replace(truth, scene="hall/two"), prediction)
    with pytest.raises(DataError, match="depth is not finite"):
        dataclasses.replace(truth, depth=np.full_like(truth.depth, np.nan))


def test_a_prediction_of_another_size_is_interpolated(lab):
    truth = lab.truth(height=36, width=48)
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, :3, 3] = truth.world_from_camera[:, :3, 3]
    truth = dataclasses.replace(
        truth, depth=np.full((4, 36, 48), 2.0, np.float32), world_from_camera=poses
    )
    half = lab.perfect(truth)
    # The mean of four points of a plane is the plane's point at half the resolution.
    mean = half.local_points.reshape(4, 18, 2, 24, 2, 3).mean(axis=(2, 4))
    small = dataclasses.replace(half, local_points=mean)
    found = score_scene(lab.protocol(), truth, small)["metrics"]
    # Bilinear interpolation holds the border pixels fast: an error of a quarter of a coarse pixel.
    assert 0 < found["pointmap_mse"] < (0.25 * 2 * 2.0 / 48) ** 2
    depth = lab.protocol(lab.depth_metrics, family="depth")
    found = score_scene(depth, truth, small)["metrics"]
    assert found["depth_abs_rel"] == pytest.approx(0.0, abs=1e-6)


def test_workers_and_order_of_points_change_nothing(lab):
    truth = lab.truth()
    rng = np.random.default_rng(3)
    prediction = lab.perfect(truth)
    shaken = prediction.local_points + 0.05 * rng.normal(size=prediction.local_points.shape)
    noisy = dataclasses.replace(prediction, local_points=shaken.astype(np.float32))
    first = score_scene(lab.protocol(), truth, noisy, workers=1)
    assert first == score_scene(lab.protocol(), truth, noisy, workers=2)


def test_a_sample_of_the_asking_points_is_close_and_repeatable(lab):
    truth = lab.truth(frames=6, height=36, width=48)
    rng = np.random.default_rng(4)
    prediction = lab.perfect(truth)
    shaken = prediction.local_points + 0.05 * rng.normal(size=prediction.local_points.shape)
    noisy = dataclasses.replace(prediction, local_points=shaken.astype(np.float32))
    exact = score_scene(lab.protocol(points=PointRules(queries=0)), truth, noisy)["metrics"]
    few = lab.protocol(points=PointRules(queries=2000))
    sample = score_scene(few, truth, noisy)["metrics"]
    assert sample == score_scene(few, truth, noisy)["metrics"]
    for name in ("accuracy", "completeness", "chamfer", "f_score_5"):
        assert sample[name] == pytest.approx(exact[name], rel=0.05), name
        assert sample[name] != exact[name]


def _scaled(poses, scale):
    poses = poses.copy()
    poses[:, :3, 3] *= scale
    return poses
