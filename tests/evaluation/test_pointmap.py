import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from flow3r.evaluation.alignment import median_scale
from flow3r.evaluation.pointmap import (
    QUERY_POINTS,
    depth_metrics,
    nearest_metrics,
    pointmap_metrics,
    to_world,
)


@pytest.fixture
def scene():
    """(points, valid, moving, origin) of three clips of 2 x 6 x 5 pixels."""
    rng = np.random.default_rng(0)
    points = rng.normal(loc=(0.0, 0.0, 4.0), size=(3, 2, 6, 5, 3))
    valid = rng.random((3, 2, 6, 5)) > 0.2
    moving = rng.random((3, 2, 6, 5)) > 0.5
    return points, valid, moving, np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.3, 0.1]])


def similarity(points, scale, degrees, shift):
    rotation = Rotation.from_rotvec(degrees, degrees=True).as_matrix()
    return scale * points @ rotation.T + np.asarray(shift)


def best_residual(source, target):
    """Sum of squares after the best Sim(3), by iterative minimisation."""

    def residual(x):
        return (similarity(source, np.exp(x[0]), np.degrees(x[1:4]), x[4:]) - target).ravel()

    return 2 * least_squares(residual, np.zeros(7), xtol=1e-14, ftol=1e-14, gtol=1e-14).cost


def test_to_world_applies_each_frame_pose():
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec([0, 90, 0], degrees=True).as_matrix()
    pose[:3, 3] = [1, 2, 3]
    local = np.array([0.0, 0.0, 2.0]).reshape(1, 1, 1, 1, 3)
    np.testing.assert_allclose(to_world(local, pose[None, None])[0, 0, 0, 0], [3, 2, 3], atol=1e-12)


def test_a_similarity_of_the_truth_is_perfect(scene):
    points, valid, moving, origin = scene
    moved = similarity(points, 0.02, (30, -80, 10), (5, 6, 7))
    values = pointmap_metrics(moved, points, valid, moving, origin)
    for name in ("pointmap_mse", "pointmap_mse_moving", "pointmap_mse_static", "chamfer"):
        np.testing.assert_allclose(values[name], 0.0, atol=1e-9)
    np.testing.assert_allclose(values["f_score_5"], 100.0)


def test_mse_against_an_iterative_alignment(scene):
    points, valid, moving, origin = scene
    rng = np.random.default_rng(1)
    predicted = similarity(points, 1.3, (5, 5, 5), (0.1, 0, 0)) + 0.2 * rng.normal(
        size=points.shape
    )
    values = pointmap_metrics(predicted, points, valid, moving, origin)
    for clip in range(3):
        target = points[clip][valid[clip]]
        distance = np.linalg.norm(target - origin[clip], axis=-1).mean()
        expected = best_residual(predicted[clip][valid[clip]], target) / len(target) / distance**2
        assert values["pointmap_mse"][clip] == pytest.approx(expected, rel=1e-6)


def test_splits_share_the_alignment(scene):
    points, valid, moving, origin = scene
    predicted = points + 0.3 * np.random.default_rng(2).normal(size=points.shape)
    values = pointmap_metrics(predicted, points, valid, moving, origin)
    weight = (valid & moving).sum(axis=(1, 2, 3)) / valid.sum(axis=(1, 2, 3))
    blend = weight * values["pointmap_mse_moving"] + (1 - weight) * values["pointmap_mse_static"]
    np.testing.assert_allclose(values["pointmap_mse"], blend, rtol=1e-12)


def test_invalid_pixels_do_not_matter(scene):
    points, valid, moving, origin = scene
    predicted = points + 0.1
    changed, damaged = predicted.copy(), points.copy()
    changed[~valid], damaged[~valid] = 1e4, -77.0
    before = pointmap_metrics(predicted, points, valid, moving, origin)
    after = pointmap_metrics(changed, damaged, valid, moving, origin)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9)


def test_absent_kinds_are_undefined(scene):
    points, valid, moving, origin = scene
    values = pointmap_metrics(points, points, valid, np.zeros_like(moving), origin)
    assert np.isnan(values["pointmap_mse_moving"]).all()
    assert np.isfinite(values["pointmap_mse_static"]).all()
    valid = valid.copy()
    valid[1] = False
    values = pointmap_metrics(points, points, valid, moving, origin)
    assert all(np.isnan(value).tolist() == [False, True, False] for value in values.values())


def test_a_collapsed_prediction_gets_the_variance_of_the_truth(scene):
    points, valid, moving, origin = scene
    values = pointmap_metrics(np.ones_like(points), points, valid, moving, origin)
    for clip in range(3):
        target = points[clip][valid[clip]]
        distance = np.linalg.norm(target - origin[clip], axis=-1).mean()
        variance = ((target - target.mean(axis=0)) ** 2).sum(axis=-1).mean()
        assert values["pointmap_mse"][clip] == pytest.approx(variance / distance**2, rel=1e-9)


def test_nearest_neighbours_against_brute_force():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(400, 3)) * 0.3
    predicted = truth + 0.03 * rng.normal(size=(400, 3))
    distances = cdist(predicted, truth)
    accuracy, completeness = distances.min(axis=1), distances.min(axis=0)
    precision, recall = (accuracy < 0.05).mean(), (completeness < 0.05).mean()
    chamfer, f_score = nearest_metrics(predicted, truth)
    assert chamfer == pytest.approx((accuracy.mean() + completeness.mean()) / 2, abs=1e-12)
    assert f_score == pytest.approx(200 * precision * recall / (precision + recall), abs=1e-9)
    assert 0 < f_score < 100


def test_nearest_neighbours_by_hand():
    truth = np.array([[0.0, 0, 0], [1, 0, 0]])
    predicted = np.array([[0.0, 0, 0.04], [0, 0, 0.04]])
    # accuracy 0.04, 0.04; completeness 0.04, sqrt(1 + 0.04^2); P = 1, R = 1/2
    far = np.sqrt(1.0016)
    chamfer, f_score = nearest_metrics(predicted, truth)
    assert chamfer == pytest.approx((0.04 + (0.04 + far) / 2) / 2)
    assert f_score == pytest.approx(200 * 0.5 / 1.5)
    assert nearest_metrics(truth, truth + 10.0)[1] == 0.0
    assert np.isnan(nearest_metrics(truth[:0], truth[:0])).all()


def test_a_large_set_is_sampled_the_same_way_every_time():
    rng = np.random.default_rng(4)
    truth = rng.random((5 * QUERY_POINTS, 3))
    predicted = truth + 0.01 * rng.normal(size=truth.shape)
    first = nearest_metrics(predicted, truth)
    assert first == nearest_metrics(predicted, truth)
    assert nearest_metrics(truth, truth) == (0.0, 100.0)
    distances = cdist(predicted, truth)
    exact = (distances.min(axis=1).mean() + distances.min(axis=0).mean()) / 2
    assert first[0] == pytest.approx(exact, rel=0.05)


def test_median_scale_by_hand():
    prediction = np.array([[1.0, 1.0, 2.0, 0.0]] * 2)
    target = np.array([[2.0, 3.0, 20.0, 99.0]] * 2)
    valid = np.array([[True, True, True, False], [False] * 4])
    np.testing.assert_array_equal(median_scale(prediction, target, valid), [3.0, np.nan])


def test_depth_by_hand():
    truth = np.array([[2.0, 4.0], [6.0, 0.0]]).reshape(1, 1, 2, 2)
    predicted = np.array([[1.0, 2.0], [4.0, 5.0]]).reshape(1, 1, 2, 2)
    moving = np.array([[False, False], [True, True]]).reshape(1, 1, 2, 2)
    values = depth_metrics(predicted, truth, moving)  # ratios 2, 2, 1.5: scale 2
    assert values["depth_abs_rel"] == pytest.approx([(2 / 6) / 3])
    assert values["depth_abs_rel_moving"] == pytest.approx([2 / 6])
    assert values["depth_abs_rel_static"] == pytest.approx([0.0])
    scaled = depth_metrics(0.001 * predicted, truth, moving)
    assert scaled["depth_abs_rel"] == pytest.approx(values["depth_abs_rel"])
    nothing = depth_metrics(predicted, np.zeros_like(truth), moving)
    assert all(np.isnan(value).all() for value in nothing.values())


def test_one_scale_per_clip_not_per_frame():
    truth = torch.full((1, 3, 2, 2), 4.0).numpy()
    predicted = truth.copy()
    predicted[:, 2] *= 2.0  # one frame at another scale is an error
    values = depth_metrics(predicted, truth, np.zeros(truth.shape, dtype=bool))
    assert values["depth_abs_rel"] == pytest.approx([1 / 3])
