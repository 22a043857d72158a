import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow3r.evaluation.relative_pose import (
    accuracy,
    area_under_curve,
    pair_errors,
    relative_pose_metrics,
)


def pose(rotation_vector_deg=(0, 0, 0), centre=(0, 0, 0)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotation_vector_deg, degrees=True).as_matrix()
    matrix[:3, 3] = centre
    return matrix


def random_poses(rng, *shape, angle=40.0):
    poses = np.tile(np.eye(4), (*shape, 1, 1))
    vectors = rng.normal(size=(int(np.prod(shape)), 3)) * np.radians(angle)
    poses[..., :3, :3] = Rotation.from_rotvec(vectors).as_matrix().reshape(*shape, 3, 3)
    poses[..., :3, 3] = rng.normal(size=(*shape, 3))
    return poses


# --- AUC, hand-computed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "threshold", "expected"),
    [
        (0.5, 30, 1.0),  # bin 0: contributes fully
        (29.5, 30, 1 / 30),  # the last bin
        (30.0, 30, 1 / 30),  # the last bin is closed
        (30.0001, 30, 0.0),
        (1.0, 5, 4 / 5),  # inner edges belong to the bin above
        (0.0, 5, 1.0),
        (np.inf, 30, 0.0),
    ],
)
def test_auc_of_one_pair(error, threshold, expected):
    for rotation, translation in ((error, 0.0), (0.0, error)):
        value = area_under_curve(np.array([rotation]), np.array([translation]), threshold)
        assert value == pytest.approx(100 * expected, abs=1e-12)


def test_auc_takes_the_larger_error_and_counts_all_pairs():
    rotation, translation = np.array([0.5, 2.5, 0.5, 40.0]), np.array([0.2, 0.5, 4.5, 0.1])
    assert area_under_curve(rotation, translation, 5) == pytest.approx(
        100 * (1 + 3 / 5 + 1 / 5) / 4
    )


def test_auc_against_numpy_histogram():
    rng = np.random.default_rng(3)
    rotation, translation = rng.uniform(0, 60, (2, 20, 45))
    for threshold in (5, 15, 30):
        value = area_under_curve(rotation, translation, threshold)
        for row, (r, t) in enumerate(zip(rotation, translation)):
            counts, _ = np.histogram(np.maximum(r, t), bins=threshold, range=(0, threshold))
            expected = 100 * np.mean(np.cumsum(counts / len(r)))
            assert value[row] == pytest.approx(expected, abs=1e-10)


def test_accuracy_is_strict():
    assert accuracy(np.array([5.0, 4.999, 5.001, np.inf]), 5) == 25.0


# --- errors of a pair -----------------------------------------------------------------------------


def test_a_known_rotation_and_direction():
    truth = np.stack([pose(), pose((0, 10, 0), (1, 0, 0))])
    predicted = np.stack([pose(), pose((0, 22, 0), (1, 0, 0))])
    rotation, translation = pair_errors(predicted, truth)
    assert rotation == pytest.approx([12.0], abs=1e-9)
    # The centre is the same; its direction seen from the second camera turns with that camera.
    assert translation == pytest.approx([12.0], abs=1e-9)


def test_the_direction_has_no_sign_and_no_length():
    truth = np.stack([pose(), pose(centre=(1, 0, 0))])
    for centre, expected in [
        ((-3, 0, 0), 0.0),
        ((0.1, 0.1, 0), 45.0),
        ((-0.1, 0.1, 0), 45.0),
        ((0, 0, 7), 90.0),
    ]:
        predicted = np.stack([pose(), pose(centre=centre)])
        assert pair_errors(predicted, truth)[1] == pytest.approx([expected], abs=1e-9)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1e-3, 90.0, 179.0, 180.0])
def test_rotation_errors_at_the_ends_of_the_range(angle):
    truth = np.stack([pose((20, 5, 0), (0, 1, 0)), pose((7, -30, 3), (1, 0, 0))])
    predicted = truth.copy()
    predicted[1, :3, :3] = truth[1, :3, :3] @ pose((0, 0, angle))[:3, :3]
    assert pair_errors(predicted, truth)[0] == pytest.approx([angle], abs=1e-9)


def test_a_zero_or_nan_prediction_fails_every_threshold():
    truth = np.stack([pose(), pose(centre=(1, 0, 0))])[None]
    still = np.stack([pose(), pose()])[None]
    values = relative_pose_metrics(still, truth)
    assert values["rra_5"] == 100.0
    assert values["rta_30"] == values["auc_30"] == 0.0
    broken = np.full_like(truth, np.nan)
    assert all(value == 0.0 for value in relative_pose_metrics(broken, truth).values())


def test_a_zero_true_translation_is_undefined_for_its_pair_only():
    truth = np.stack([pose(), pose((0, 5, 0)), pose(centre=(1, 0, 0))])[None]
    predicted = np.stack([pose(), pose((0, 5, 0), (0, 1, 0)), pose(centre=(1, 0, 0))])[None]
    rotation, translation = pair_errors(predicted, truth)
    assert np.isnan(translation[0]).tolist() == [True, False, False]
    assert np.isfinite(rotation).all()
    values = relative_pose_metrics(predicted, truth)
    assert values["rta_5"] == pytest.approx([50.0])  # pair (0, 2) right, (1, 2) 45 degrees off
    only_turning = relative_pose_metrics(predicted[:, :2], truth[:, :2])
    assert only_turning["rra_5"] == 100.0
    assert np.isnan(only_turning["rta_30"])
    assert np.isnan(only_turning["auc_30"])


# --- against a plain loop -------------------------------------------------------------------------


def quaternion_error(a, b):
    p, q = Rotation.from_matrix(a).as_quat(), Rotation.from_matrix(b).as_quat()
    return np.degrees(np.arccos(1 - 2 * (1 - min(np.dot(p, q) ** 2, 1.0))))


def squared_cosine_error(a, b):
    squared = np.dot(a, b) ** 2 / (np.dot(a, a) * np.dot(b, b))
    return np.degrees(np.arccos(np.sqrt(min(squared, 1.0))))


def slow_metrics(predicted, truth):
    """Pi3's formulas with w2c matrices, quaternions and numpy.histogram, one pair at a time."""
    rotation, translation = [], []
    for i in range(len(truth)):
        for j in range(i + 1, len(truth)):
            relative = [np.linalg.inv(p[j]) @ p[i] for p in (predicted, truth)]
            rotation.append(quaternion_error(relative[0][:3, :3], relative[1][:3, :3]))
            translation.append(squared_cosine_error(relative[0][:3, 3], relative[1][:3, 3]))
    values = {}
    for t in (5, 15, 30):
        values[f"rra_{t}"] = 100 * np.mean([e < t for e in rotation])
        values[f"rta_{t}"] = 100 * np.mean([e < t for e in translation])
        worst = np.maximum(rotation, translation)
        counts = np.histogram(worst, bins=np.arange(t + 1))[0] / len(worst)
        values[f"auc_{t}"] = 100 * np.mean(np.cumsum(counts))
    return values


def test_a_thousand_random_pose_sets():
    rng = np.random.default_rng(0)
    truth = random_poses(rng, 1000, 4)
    predicted = truth.copy()
    noise = random_poses(rng, 1000, 4, angle=10.0)
    predicted[..., :3, :3] = truth[..., :3, :3] @ noise[..., :3, :3]
    predicted[..., :3, 3] += 0.3 * noise[..., :3, 3]
    values = relative_pose_metrics(predicted, truth)
    for clip in range(1000):
        for name, expected in slow_metrics(predicted[clip], truth[clip]).items():
            assert values[name][clip] == pytest.approx(expected, abs=1e-9), (clip, name)


def test_a_change_of_world_frame_and_scale_changes_nothing():
    rng = np.random.default_rng(1)
    truth, predicted = random_poses(rng, 2, 30, 4)
    moved = predicted.copy()
    moved[..., :3, 3] *= 3.7
    moved = random_poses(rng, 1)[0] @ moved
    before, after = relative_pose_metrics(predicted, truth), relative_pose_metrics(moved, truth)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9)
    assert all((v == 100).all() for v in relative_pose_metrics(truth, truth).values())
