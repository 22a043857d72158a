"""How many unlabelled clips a labelled one is worth, on curves whose answer is known."""

import numpy as np
import pytest

from analysis.label_worth import along_curve, crossing, interpolation
from flow3r.errors import DataError

COUNTS = np.array([0, 16, 64, 256, 1024, 4096], dtype=float)
AXIS = np.log2(1 + COUNTS / 16)


def scores(means, rng, seeds=5, scenes=30, noise=0.3):
    """[A, S, K]: the arms' means + shared seed and scene effects + noise."""
    shared = rng.normal(0, 1, (1, seeds, 1)) + rng.normal(0, 5, (1, 1, scenes))
    own = rng.normal(0, noise / 10, (len(means), seeds, 1))
    noise = rng.normal(0, noise, (len(means), seeds, scenes))
    return np.asarray(means)[:, None, None] + shared + own + noise


def worth(curve_means, target, rng, extra=48, **spreads):
    values = scores([*curve_means, target], rng, **spreads)
    return crossing(along_curve(COUNTS, values[:-1], values[-1], 16), "3d-sup++", extra)


def test_interpolation_is_straight_on_the_log_axis_and_exact_at_the_points():
    grid, weights = interpolation(COUNTS, 16)
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights @ AXIS, np.log2(1 + grid / 16), atol=1e-12)
    assert set(COUNTS) <= set(grid)
    assert (np.diff(grid) > 0).all()


def test_known_crossing_without_noise():
    # one point per doubling of 1 + clips / 16: 5 points are 2^5 = 1 + u / 16, u = 496
    found = worth(AXIS, 5.0, np.random.default_rng(1), noise=0.0)
    assert found.clips == pytest.approx(496, rel=0.02)
    assert found.worth == pytest.approx(496 / 48, rel=0.02)
    assert found.interval == pytest.approx((496 / 48, 496 / 48), rel=0.1)


def test_interval_holds_the_truth_and_narrows():
    wide = worth(AXIS, 5.0, np.random.default_rng(2), noise=1.0)
    narrow = worth(AXIS, 5.0, np.random.default_rng(2), noise=0.1)
    assert wide.low < narrow.low < 496 < narrow.high < wide.high


def test_not_reached_has_a_lower_bound():
    found = worth(AXIS, 12.0, np.random.default_rng(3))
    assert (found.clips, found.worth, found.excluded) == (None, None, True)
    assert found.interval == (4096 / 48, None)


def test_a_flat_curve_below_says_nothing_reached_and_one_above_needs_none():
    below = worth(np.zeros(6), 3.0, np.random.default_rng(4))
    assert below.excluded
    above = worth(np.zeros(6), -3.0, np.random.default_rng(5))
    assert (above.clips, above.worth, above.excluded) == (0.0, 0.0, False)
    assert above.interval == (0.0, 0.0)


def test_a_curve_level_with_the_yardstick_has_an_open_interval():
    found = worth(np.zeros(6), 0.0, np.random.default_rng(6))
    assert found.low == 0.0
    assert found.high is None


def test_reached_only_perhaps():
    found = worth(AXIS, AXIS[-1] + 0.05, np.random.default_rng(7), noise=2.0)
    assert found.low is not None
    assert found.high is None  # 4096 clips or more
    assert not found.excluded


def test_one_seed_has_a_value_and_no_interval():
    found = worth(AXIS, 5.0, np.random.default_rng(8), seeds=1, noise=0.01)
    assert found.clips == pytest.approx(496, rel=0.05)
    assert not found.known
    assert found.interval is None


def test_interval_is_calibrated():
    # 150 studies at 3 seeds: a standard error of 2 points
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(150):
        found = worth(AXIS, 5.0, rng, seeds=3, scenes=16, noise=1.0)
        low, high = found.low, np.inf if found.high is None else found.high
        hits += not found.excluded and low <= 496 <= high
    assert 0.9 <= hits / 150 <= 0.99


def test_refusals():
    values = scores(AXIS, np.random.default_rng(10))
    with pytest.raises(DataError, match="ascending"):
        along_curve(COUNTS[::-1], values, values[0], 16)
    with pytest.raises(DataError, match="0 more labelled clips"):
        crossing(along_curve(COUNTS, values, values[0], 16), "3d-sup++", 0)
    with pytest.raises(DataError, match="no scene"):
        along_curve(COUNTS, values, np.full_like(values[0], np.nan), 16)


def test_a_scene_with_a_gap_is_left_out():
    values = scores([*AXIS, 5.0], np.random.default_rng(11))
    gap = values.copy()
    gap[2, 0, 4] = np.nan
    kept = np.delete(values, 4, axis=2)
    found = along_curve(COUNTS, gap[:-1], gap[-1], 16)
    np.testing.assert_allclose(found.mean, along_curve(COUNTS, kept[:-1], kept[-1], 16).mean)
