"""The intervals against closed forms, scipy, a slow reference and simulated coverage."""

import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import (
    bootstrap_interval,
    bootstrap_means,
    drop_empty,
    estimate,
    t_interval,
)


def crossed(rng, seeds, scenes, seed_sd, scene_sd, noise_sd, mean=0.0):
    """Values [S, K] = mean + seed effect + scene effect + noise."""
    return (
        mean
        + rng.normal(0, seed_sd, (seeds, 1))
        + rng.normal(0, scene_sd, (1, scenes))
        + rng.normal(0, noise_sd, (seeds, scenes))
    )


def test_one_scene_is_students_interval():
    values = np.array([[1.0], [2.0], [4.0], [7.0]])
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values[:, 0]))
    np.testing.assert_allclose(t_interval(values), expected)


def test_hand_computed_two_by_two():
    # seed means 1, 3 and scene means 1, 3: each part has variance 2 / 2 = 1 and one degree of
    # freedom, so the half width is t_1 sqrt(1 + 1).
    values = np.array([[0.0, 2.0], [2.0, 4.0]])
    half = stats.t.ppf(0.975, 1) * np.sqrt(2)
    np.testing.assert_allclose(t_interval(values), (2 - half, 2 + half))


def test_bootstrap_agrees_with_enumeration():
    values = crossed(np.random.default_rng(1), 3, 3, 1.0, 1.0, 0.5)
    draws = list(itertools.product(range(3), repeat=3))
    exact = [values[np.ix_(a, b)].mean() for a in draws for b in draws]
    found = bootstrap_means(values, 20_000)
    assert found.mean() == pytest.approx(np.mean(exact), abs=0.02)
    assert found.std() == pytest.approx(np.std(exact), rel=0.03)
    np.testing.assert_allclose(
        np.quantile(found, [0.1, 0.9]), np.quantile(exact, [0.1, 0.9]), atol=0.06
    )


def test_bootstrap_variance_closed_form():
    # Owen (2007): the two-way bootstrap's variance, given the data, for a complete matrix.
    values = crossed(np.random.default_rng(2), 5, 40, 1.0, 1.0, 1.0)
    seeds, scenes = values.shape
    rows, columns = values.mean(1), values.mean(0)
    rest = values - rows[:, None] - columns[None] + values.mean()
    expected = rows.var() / seeds + columns.var() / scenes + rest.var() / (seeds * scenes)
    assert bootstrap_means(values, 40_000).var() == pytest.approx(expected, rel=0.03)


def test_bootstrap_with_gaps_equals_a_slow_reference():
    rng = np.random.default_rng(3)
    values = crossed(rng, 4, 12, 1.0, 1.0, 1.0)
    values[rng.random(values.shape) < 0.2] = np.nan
    found = bootstrap_means(values, 4000)
    slow = [
        np.nanmean(values[np.ix_(rng.integers(4, size=4), rng.integers(12, size=12))], 1).mean()
        for _ in range(4000)
    ]
    assert found.mean() == pytest.approx(np.mean(slow), abs=0.05)
    assert found.std() == pytest.approx(np.std(slow), rel=0.06)


def test_interval_is_the_hull_and_repeatable():
    values = crossed(np.random.default_rng(4), 5, 30, 1.0, 2.0, 1.0, mean=3.0)
    found = estimate(values)
    both = np.array([t_interval(values), bootstrap_interval(values)])
    assert (found.low, found.high) == (both[:, 0].min(), both[:, 1].max())
    assert found == estimate(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.half_width == pytest.approx((found.high - found.low) / 2)


def test_order_of_seeds_and_scenes_does_not_matter_to_the_mean_or_t():
    rng = np.random.default_rng(5)
    values = crossed(rng, 4, 9, 1.0, 1.0, 1.0)
    shuffled = values[rng.permutation(4)][:, rng.permutation(9)]
    np.testing.assert_allclose(t_interval(values), t_interval(shuffled))


def test_one_seed_has_no_interval():
    found = estimate(np.array([[1.0, 2.0, 3.0]]))
    assert (found.mean, found.low, found.high, found.seeds, found.scenes) == (2, None, None, 1, 3)
    assert not found.excludes_zero


def test_all_equal_values():
    found = estimate(np.full((3, 4), 2.0))
    assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0)
    assert not estimate(np.zeros((3, 4))).excludes_zero


def test_empty_seeds_and_scenes_are_left_out_and_gaps_counted():
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [2.0, np.nan, np.nan]])
    np.testing.assert_array_equal(drop_empty(values), [[1.0, 3.0], [2.0, np.nan]])
    found = estimate(values)
    assert (found.seeds, found.scenes, found.missing) == (2, 2, 1)
    assert found.mean == 2.0  # the mean of the seeds' own means, 2 and 2


def test_nothing_defined_is_an_error():
    with pytest.raises(ValueError, match="no defined value"):
        estimate(np.full((2, 3), np.nan))


def coverage(seeds, trials, spreads, rng):
    hits = 0
    for _ in range(trials):
        found = estimate(crossed(rng, seeds, 30, *spreads), resamples=400)
        hits += found.low <= 0.0 <= found.high
    return hits / trials


@pytest.mark.parametrize("seeds", [3, 5])
def test_coverage_is_not_below_nominal(seeds):
    # 200 trials of a 95 % interval: below 0.90 happens to fewer than 1 in 500.
    found = coverage(seeds, 200, (1.0, 1.0, 1.0), np.random.default_rng(seeds))
    assert found >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
@pytest.mark.parametrize("spreads", [(1, 0, 1), (0, 1, 1), (1, 1, 1), (0.2, 3, 1), (1, 0.2, 5)])
def test_coverage_over_many_designs(seeds, spreads):
    found = coverage(seeds, 1000, spreads, np.random.default_rng([seeds, 7]))
    assert found >= 0.93  # 3 standard errors below 0.95


def test_percentile_bootstrap_alone_undercovers_at_three_seeds():
    # why the t interval is there: this is not a property we want, but one we must know of
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval(crossed(rng, 3, 30, 1.0, 0.1, 0.1), resamples=400)
        hits += low <= 0.0 <= high
    assert hits / 200 < 0.88
