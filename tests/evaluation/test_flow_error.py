import numpy as np
import pytest

from flow3r.evaluation.flow import flow_metrics


def metrics(error, covisibility, moving, pairs=((0, 1),)):
    truth = np.zeros((*error.shape, 2))
    predicted = np.stack([0.6 * error, -0.8 * error], axis=-1)
    return flow_metrics(predicted, truth, covisibility, moving, np.array(pairs))


def test_by_hand():
    error = np.array([[1.0, 2.0], [3.0, 50.0]]).reshape(1, 1, 2, 2)
    covisibility = np.array([[1.0, 0.9], [0.51, 0.5]]).reshape(1, 1, 2, 2)  # 0.5 does not count
    moving = np.zeros((1, 2, 2, 2), dtype=bool)
    moving[0, 0, 1] = True  # the source frame counts
    moving[0, 1] = True  # the target frame does not
    values = metrics(error, covisibility, moving)
    assert values["flow_epe"] == pytest.approx([2.0])
    assert values["flow_epe_moving"] == pytest.approx([3.0])
    assert values["flow_epe_static"] == pytest.approx([1.5])


def test_pairs_pick_their_source_and_pool_their_pixels():
    error = np.array([1.0, 5.0]).reshape(1, 2, 1, 1) * np.ones((1, 2, 2, 3))
    covisibility = np.ones_like(error)
    covisibility[0, 1, 0] = 0.0  # the second pair keeps 3 of 6 pixels
    moving = np.zeros((1, 3, 2, 3), dtype=bool)
    moving[0, 2] = True
    values = metrics(error, covisibility, moving, pairs=((0, 1), (2, 0)))
    assert values["flow_epe"] == pytest.approx([(6 * 1 + 3 * 5) / 9])
    assert values["flow_epe_moving"] == pytest.approx([5.0])
    assert values["flow_epe_static"] == pytest.approx([1.0])


def test_undefined_without_pixels_of_the_kind():
    error = np.ones((2, 1, 2, 2))
    covisibility = np.ones_like(error)
    covisibility[1] = 0.0
    values = metrics(error, covisibility, np.zeros((2, 2, 2, 2), dtype=bool))
    assert np.isnan(values["flow_epe"]).tolist() == [False, True]
    assert np.isnan(values["flow_epe_moving"]).all()
