import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow3r.evaluation.trajectory import trajectory_metrics

NAMES = ("ate", "rpe_translation", "rpe_rotation")


def random_poses(rng, *shape, angle=0.5):
    poses = np.tile(np.eye(4), (*shape, 1, 1))
    vectors = rng.normal(size=(int(np.prod(shape)), 3)) * angle
    poses[..., :3, :3] = Rotation.from_rotvec(vectors).as_matrix().reshape(*shape, 3, 3)
    poses[..., :3, 3] = rng.normal(size=(*shape, 3))
    return poses


def evo_metrics(predicted, truth):
    from evo.core import metrics
    from evo.core.trajectory import PosePath3D

    reference = PosePath3D(poses_se3=list(truth))
    estimate = PosePath3D(poses_se3=list(predicted))
    estimate.align(reference, correct_scale=True)
    ape = metrics.APE(metrics.PoseRelation.translation_part)
    ape.process_data((reference, estimate))
    values = {"ate": ape.get_statistic(metrics.StatisticsType.rmse)}
    for name, relation in (
        ("rpe_translation", metrics.PoseRelation.translation_part),
        ("rpe_rotation", metrics.PoseRelation.rotation_angle_deg),
    ):
        rpe = metrics.RPE(
            relation, delta=1, delta_unit=metrics.Unit.frames, rel_delta_tol=0.01, all_pairs=True
        )
        rpe.process_data((reference, estimate))
        values[name] = rpe.get_statistic(metrics.StatisticsType.rmse)
    return values


@pytest.mark.parametrize("frames", [3, 4, 10])
@pytest.mark.parametrize("noise", [0.02, 3.0])
def test_equal_to_evo(frames, noise):
    rng = np.random.default_rng(frames)
    truth = random_poses(rng, 20, frames)
    predicted = truth @ random_poses(rng, 20, frames, angle=0.1 * noise)
    predicted[..., :3, 3] = truth[..., :3, 3] + noise * rng.normal(size=(20, frames, 3))
    predicted[..., :3, 3] *= 0.4
    predicted = random_poses(rng, 1)[0] @ predicted
    values = trajectory_metrics(predicted, truth)
    for clip in range(20):
        for name, expected in evo_metrics(predicted[clip], truth[clip]).items():
            assert values[name][clip] == pytest.approx(expected, abs=1e-6), (clip, name)


def test_equal_to_evo_for_a_mirrored_trajectory():
    rng = np.random.default_rng(5)
    truth = random_poses(rng, 5, 6)
    predicted = truth.copy()
    predicted[..., 0, 3] *= -1
    values = trajectory_metrics(predicted, truth)
    for clip in range(5):
        expected = evo_metrics(predicted[clip], truth[clip])
        assert values["ate"][clip] == pytest.approx(expected["ate"], abs=1e-6)


def test_a_moved_and_scaled_copy_has_no_error():
    rng = np.random.default_rng(2)
    truth = random_poses(rng, 7, 5)
    predicted = truth.copy()
    predicted[..., :3, 3] *= 0.01
    predicted = random_poses(rng, 1)[0] @ predicted
    for value in trajectory_metrics(predicted, truth).values():
        np.testing.assert_allclose(value, 0.0, atol=1e-9)


def test_undefined_for_two_frames_and_for_a_true_line():
    rng = np.random.default_rng(4)
    two = random_poses(rng, 2, 2)
    assert all(np.isnan(v).all() for v in trajectory_metrics(two, two).values())
    truth = random_poses(rng, 2, 5)
    truth[0, :, :3, 3] = np.arange(5)[:, None] * np.array([1.0, 2.0, -0.5]) + 3.0
    values = trajectory_metrics(random_poses(rng, 2, 5), truth)
    assert all(np.isnan(values[name]).tolist() == [True, False] for name in NAMES)
    with pytest.raises(Exception, match="Degenerate"):
        evo_metrics(random_poses(rng, 5), truth[0])


def test_a_standing_prediction_gets_the_spread_of_the_truth():
    rng = np.random.default_rng(6)
    truth = random_poses(rng, 3, 5)
    values = trajectory_metrics(np.tile(np.eye(4), (3, 5, 1, 1)), truth)
    centres = truth[..., :3, 3]
    spread = np.sqrt(((centres - centres.mean(axis=1, keepdims=True)) ** 2).sum(-1).mean(-1))
    steps = np.sqrt((np.diff(centres, axis=1) ** 2).sum(-1).mean(-1))
    np.testing.assert_allclose(values["ate"], spread, rtol=1e-9)
    np.testing.assert_allclose(values["rpe_translation"], steps, rtol=1e-9)


def test_a_predicted_line_is_scored_and_no_better_prediction_is_worse():
    rng = np.random.default_rng(7)
    truth = random_poses(rng, 1, 5)
    predicted = truth.copy()
    predicted[0, :, 1:3, 3] = 0.0
    values = trajectory_metrics(predicted, truth)
    assert all(np.isfinite(values[name]).all() for name in NAMES)
    still = trajectory_metrics(np.tile(np.eye(4), (1, 5, 1, 1)), truth)
    assert 0 < values["ate"] < still["ate"]
