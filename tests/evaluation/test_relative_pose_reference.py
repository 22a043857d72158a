"""Relative-pose metrics against a plain implementation of the published procedure.

The procedure (VGGT's and pi3's): relative poses from world-to-camera matrices, rotation errors by
quaternions with a floor of 1e-15 inside the root, translation errors from the squared cosine, not
finite -> 1e6 radians, accuracies under strict thresholds, AUC from a histogram with bins of one
degree. Ours is another formula everywhere (atan2), so agreement is evidence.
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow3r.evaluation.relative_pose import pair_errors, relative_pose_metrics

SETS = 1000
FLOOR = 1e-15
WORST = 1e6


def rotation_angle(first, second):
    q, p = (Rotation.from_matrix(r).as_quat() for r in (first, second))
    inner = max(1.0 - float(np.dot(q, p)) ** 2, FLOOR)
    return np.arccos(np.clip(1.0 - 2.0 * inner, -1.0, 1.0))


def direction_angle(first, second):
    first = first / (np.linalg.norm(first) + FLOOR)
    second = second / (np.linalg.norm(second) + FLOOR)
    inner = max(1.0 - float(np.dot(first, second)) ** 2, FLOOR)
    return np.arccos(np.clip(np.sqrt(max(1.0 - inner, 0.0)), 0.0, 1.0))


def finite_or_worst(function, first, second):
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return WORST
    angle = function(first, second)
    return angle if np.isfinite(angle) else WORST


def published(predicted, truth):
    """{metric: value} of world_from_camera [N, 4, 4]."""
    rotation, translation = [], []
    predicted_w2c, truth_w2c = (
        [np.full((4, 4), np.nan) if not np.isfinite(p).all() else np.linalg.inv(p) for p in poses]
        for poses in (predicted, truth)
    )
    for i in range(len(truth)):
        for j in range(i + 1, len(truth)):
            ours, true = (
                w2c[j] @ c2w[i] for w2c, c2w in ((predicted_w2c, predicted), (truth_w2c, truth))
            )
            rotation.append(finite_or_worst(rotation_angle, ours[:3, :3], true[:3, :3]))
            translation.append(finite_or_worst(direction_angle, ours[:3, 3], true[:3, 3]))
    rotation, translation = np.degrees(rotation), np.degrees(translation)
    translation = np.where(translation < WORST, np.minimum(translation, 180 - translation), WORST)
    values = {}
    for t in (5, 15, 30):
        values[f"rra_{t}"] = 100.0 * (rotation < t).mean()
        values[f"rta_{t}"] = 100.0 * (translation < t).mean()
        counts, _ = np.histogram(np.maximum(rotation, translation), bins=np.arange(t + 1))
        values[f"auc_{t}"] = 100.0 * np.mean(np.cumsum(counts / len(rotation)))
    return values, rotation, translation


def random_set(index):
    """Predicted and true poses: every size of error from none to unrelated, some broken."""
    rng = np.random.default_rng(index)
    frames = int(rng.integers(2, 7))
    truth = np.tile(np.eye(4), (frames, 1, 1))
    truth[:, :3, :3] = Rotation.random(frames, random_state=rng).as_matrix()
    truth[:, :3, 3] = rng.normal(size=(frames, 3)) * 10.0 ** rng.uniform(-2, 2)
    predicted = truth.copy()
    size = rng.choice([0.0, 1e-9, 0.01, 0.1, 0.4, 3.0])
    turn = Rotation.from_rotvec(size * rng.normal(size=(frames, 3))).as_matrix()
    predicted[:, :3, :3] = truth[:, :3, :3] @ turn
    spread = np.abs(truth[:, :3, 3]).max()
    predicted[:, :3, 3] += spread * size * rng.normal(size=(frames, 3))
    predicted[:, :3, 3] *= rng.choice([1.0, 0.01, 30.0, -1.0])  # scale-free; -1: reversed
    if index % 10 == 0:
        predicted[0, 0, 0] = rng.choice([np.nan, np.inf])
    if index % 10 == 1:
        predicted[:, :3, 3] = 0.0  # stands still
    if index % 10 == 2:
        predicted[-1, :3, :3] = truth[-1, :3, :3] @ np.diag([1.0, -1.0, -1.0])  # half a turn
    return predicted, truth


pytestmark = pytest.mark.filterwarnings("ignore:invalid value")
"""Of poses that hold NaN."""


def test_equal_to_the_published_procedure_on_1000_sets():
    assert SETS == 1000
    for index in range(SETS):
        predicted, truth = random_set(index)
        expected, _, _ = published(predicted, truth)
        found = relative_pose_metrics(predicted[None], truth[None])
        for name, value in expected.items():
            assert found[name][0] == pytest.approx(value, abs=1e-9), (index, name)


def test_angles_are_equal_down_to_the_published_floor():
    for index in range(0, 200):
        predicted, truth = random_set(index)
        _, rotation, translation = published(predicted, truth)
        ours = pair_errors(predicted, truth)
        usable = rotation < WORST
        # arccos loses half of the digits near 0 (its floor is 3.6e-6 degrees), and the published
        # normalisation adds 1e-15 to the length, which a short motion notices.
        np.testing.assert_allclose(ours[0][usable], rotation[usable], atol=1e-5)
        assert (ours[0][~usable] == np.inf).all()
        usable = np.isfinite(ours[1])
        np.testing.assert_allclose(ours[1][usable], translation[usable], atol=1e-3)
        # Without a direction: the published angle is 90 degrees or the worst; both fail.
        assert (translation[~usable] >= 89.99).all()


def test_the_published_floor():
    same = np.eye(3)
    assert np.degrees(rotation_angle(same, same)) == pytest.approx(3.6e-6, rel=0.05)
    truth = np.tile(np.eye(4), (2, 1, 1))
    truth[1, 0, 3] = 1.0
    assert pair_errors(truth, truth)[0] == 0.0
    found, expected = relative_pose_metrics(truth[None], truth[None]), published(truth, truth)[0]
    assert all(found[name][0] == expected[name] == 100.0 for name in expected)


def test_a_true_pair_without_translation_is_left_out_and_published_fails_it():
    """The one deliberate difference: a perfect prediction scores perfectly."""
    truth = np.tile(np.eye(4), (3, 1, 1))
    truth[2, 0, 3] = 1.0
    assert published(truth, truth)[0]["rta_30"] == pytest.approx(200 / 3)
    assert relative_pose_metrics(truth[None], truth[None])["rta_30"] == 100.0
