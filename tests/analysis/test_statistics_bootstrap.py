"""The bootstraps against enumeration, closed forms, a slow reference and scipy."""

import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.bootstrap import (
    bca_interval,
    bootstrap_means,
    percentile_interval,
    stratified_interval,
    studentised_interval,
)
from analysis.effects import iqm

METHODS = [percentile_interval, bca_interval, studentised_interval]


def crossed(rng, seeds, scenes, seed_sd=1.0, scene_sd=1.0, noise_sd=1.0):
    """Values [S, K] = seed effect + scene effect + noise."""
    values = rng.normal(0, noise_sd, (seeds, scenes)) + rng.normal(0, seed_sd, (seeds, 1))
    return values + rng.normal(0, scene_sd, (1, scenes))


def test_bootstrap_agrees_with_enumeration():
    values = crossed(np.random.default_rng(1), 3, 3, noise_sd=0.5)
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
    values = crossed(np.random.default_rng(2), 5, 40)
    seeds, scenes = values.shape
    rows, columns = values.mean(1), values.mean(0)
    rest = values - rows[:, None] - columns[None] + values.mean()
    expected = rows.var() / seeds + columns.var() / scenes + rest.var() / (seeds * scenes)
    assert bootstrap_means(values, 40_000).var() == pytest.approx(expected, rel=0.03)


def test_bootstrap_with_gaps_equals_a_slow_reference():
    rng = np.random.default_rng(3)
    values = crossed(rng, 4, 12)
    values[rng.random(values.shape) < 0.2] = np.nan
    found = bootstrap_means(values, 4000)
    slow = [
        np.nanmean(values[np.ix_(rng.integers(4, size=4), rng.integers(12, size=12))], 1).mean()
        for _ in range(4000)
    ]
    assert found.mean() == pytest.approx(np.mean(slow), abs=0.05)
    assert found.std() == pytest.approx(np.std(slow), rel=0.06)


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize(
    ("method", "name"), [(percentile_interval, "percentile"), (bca_interval, "BCa")]
)
def test_one_level_intervals_are_scipys(method, name, turn):
    sample = np.random.default_rng(4).exponential(size=25)
    values = sample[None] if turn else sample[:, None]
    expected = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, method=name, rng=np.random.default_rng(5)
    ).confidence_interval
    width = expected.high - expected.low
    np.testing.assert_allclose(method(values, 0.95, 20_000), expected, atol=0.03 * width)


def test_studentised_interval_equals_a_slow_reference():
    rng = np.random.default_rng(6)
    sample = rng.exponential(size=20)
    drawn = sample[rng.integers(20, size=(20_000, 20))]
    ratio = (drawn.mean(1) - sample.mean()) / (drawn.std(1, ddof=1) / np.sqrt(20))
    high, low = np.quantile(ratio, [0.025, 0.975])
    error = sample.std(ddof=1) / np.sqrt(20)
    expected = (sample.mean() - low * error, sample.mean() - high * error)
    found = studentised_interval(sample[:, None], 0.95, 20_000)
    np.testing.assert_allclose(found, expected, atol=0.04 * (expected[1] - expected[0]))


def test_studentised_error_of_a_resample_is_the_crossed_one():
    from analysis.bootstrap import _resampled_errors, resampling_counts
    from analysis.crossed import spread, terms

    values = crossed(np.random.default_rng(7), 4, 9)
    means, errors = _resampled_errors(values, 50)
    rows, columns = resampling_counts(4, 9, 50)
    for i in range(50):
        drawn = values[np.repeat(np.arange(4), rows[:, i])][
            :, np.repeat(np.arange(9), columns[:, i])
        ]
        assert means[i] == pytest.approx(drawn.mean())
        assert errors[i] == pytest.approx(float(spread(terms(drawn)).se), abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_repeatable_and_without_width_for_equal_values(method):
    values = crossed(np.random.default_rng(8), 4, 15)
    assert method(values, 0.95, 500) == method(values, 0.95, 500)
    np.testing.assert_allclose(method(np.full((3, 4), 2.0), 0.95, 200), (2.0, 2.0))


def test_percentile_bootstrap_alone_undercovers_at_three_seeds():
    # why it is not the interval of the report: not a property we want, but one we must know of
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(200):
        low, high = percentile_interval(crossed(rng, 3, 30, 1.0, 0.1, 0.1), 0.95, 400)
        hits += low <= 0.0 <= high
    assert hits / 200 < 0.88


def test_stratified_interval_resamples_runs_within_each_scene():
    # rliable (Agarwal et al. 2021): the variance is that of independent scenes
    values = np.random.default_rng(10).normal(size=(6, 50))
    low, high = stratified_interval(values, lambda v: v.mean((-2, -1)), 0.95, 4000)
    error = np.sqrt((values.var(0) / 6).sum()) / 50
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.05)
    low, high = stratified_interval(values, iqm, 0.95, 500)
    assert low < iqm(values) < high
