"""The interval against closed forms, published examples, scipy and simulated coverage."""

import numpy as np
import pytest
from scipy import stats

from analysis.crossed import (
    Components,
    components,
    spread,
    student_quantile,
    terms,
    two_way_fit,
)
from analysis.power import gaussian_studies
from analysis.statistics import LEVEL, drop_empty, estimate, estimate_unpaired
from flow3r.errors import DataError

# Student 1908, "The probable error of a mean": hours of sleep gained by ten patients with each of
# two drugs; published: mean difference 1.58, standard error 0.389, t = 4.06.
SLEEP = np.array([[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
                  [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]])  # fmt: skip


def studies(shares, shape, rng):
    """Gaussian null studies; shares of the variance of the mean: seeds, scenes, rest."""
    _, seeds, scenes = shape
    found = Components(seeds * shares[0], scenes * shares[1], seeds * scenes * shares[2])
    return gaussian_studies(found, shape, rng)


def covers(values, truth=0.0):
    """Share of studies [n, S, K] whose interval holds the truth."""
    each = terms(values)
    return float((np.abs(each.mean - truth) <= spread(each).half_width(LEVEL)).mean())


def test_one_scene_is_students_interval():
    found = estimate((SLEEP[1] - SLEEP[0])[:, None])
    assert found.mean == pytest.approx(1.58)
    assert found.se == pytest.approx(0.389, abs=5e-4)
    assert found.mean / found.se == pytest.approx(4.06, abs=5e-3)
    expected = stats.ttest_rel(SLEEP[1], SLEEP[0])
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high, found.df) == pytest.approx((low, high, 9))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert "One scene" in found.note


def test_hand_computed_three_by_three():
    # Seed means 1, 4, 7: variance 9, over 3 seeds 3. Scene means 2, 4, 6: variance 4, over 3 4/3.
    # Residuals 1 0 -1 / 0 -1 1 / -1 1 0: mean square 6 / 4, over 9 values 1/6.
    # 3 + 4/3 - 1/6 = 25/6; both kept terms have 2 degrees of freedom, and so has their sum.
    values = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 7.0], [4.0, 8.0, 9.0]])
    found = estimate(values)
    assert found.mean == 4.0
    assert (found.se**2, found.df) == pytest.approx((25 / 6, 2.0))
    assert found.high - 4.0 == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(25 / 6))


def test_degrees_of_freedom_are_the_weighted_harmonic_mean():
    values = studies((0.5, 0.5, 0.1), (1, 5, 40), np.random.default_rng(1))[0]
    rows, columns = values.mean(1), values.mean(0)
    rest = values - rows[:, None] - columns + values.mean()
    seed, scene = rows.var(ddof=1) / 5, columns.var(ddof=1) / 40
    scene -= (rest**2).sum() / (4 * 39) / 200
    found = estimate(values)
    assert found.se**2 == pytest.approx(seed + scene)
    assert found.df == pytest.approx((seed + scene) / (seed / 4 + scene / 39))


def test_more_seeds_than_scenes_takes_the_rest_off_the_seeds():
    values = studies((0.3, 0.3, 0.4), (1, 12, 4), np.random.default_rng(2))[0]
    assert estimate(values.T).se == pytest.approx(estimate(values).se)


def test_expected_squared_error_is_the_variance_of_the_mean():
    for shares in ((0.4, 0.4, 0.2), (0.0, 0.0, 1.0)):
        drawn = studies(shares, (4000, 4, 30), np.random.default_rng(3))
        each = terms(drawn)
        expected = each.seed + each.scene - each.residual
        assert expected.mean() == pytest.approx(1.0, rel=0.06)  # the shares add up to 1
        assert each.mean.var() == pytest.approx(1.0, rel=0.08)


def test_components_are_recovered():
    truth = Components(seed=4.0, scene=9.0, rest=25.0)
    found = [
        components(values)
        for values in gaussian_studies(truth, (300, 20, 40), np.random.default_rng(4))
    ]
    assert np.mean([f.seed for f in found]) == pytest.approx(4.0, rel=0.1)
    assert np.mean([f.scene for f in found]) == pytest.approx(9.0, rel=0.1)
    assert np.mean([f.rest for f in found]) == pytest.approx(25.0, rel=0.03)


def with_gaps(values, rng):
    values = values.copy()
    values[rng.random(values.shape) < 0.25] = np.nan
    return values


def test_two_way_fit_equals_least_squares_with_indicator_columns():
    rng = np.random.default_rng(5)
    values = with_gaps(rng.normal(size=(5, 14)), rng)
    rows, columns = np.nonzero(~np.isnan(values))
    design = np.zeros((len(rows), 19))
    design[np.arange(len(rows)), rows] = design[np.arange(len(rows)), 5 + columns] = 1
    seen = values[rows, columns]
    solution, _, rank, _ = np.linalg.lstsq(design, seen, rcond=None)
    found = two_way_fit(values)
    np.testing.assert_allclose(found.residuals[rows, columns], seen - design @ solution, atol=1e-9)
    assert found.df == len(seen) - rank
    assert found.rows.mean() == pytest.approx(0.0, abs=1e-12)


def test_one_gap_changes_little_and_no_gap_nothing():
    values = studies((0.4, 0.4, 0.2), (1, 5, 60), np.random.default_rng(6))[0]
    whole = estimate(values)
    values[2, 7] = np.nan
    found = estimate(values)
    assert found.missing == 1
    assert found.se == pytest.approx(whole.se, rel=0.02)
    assert found.df == pytest.approx(whole.df, rel=0.05)


def test_gaps_keep_the_standard_error_honest():
    rng = np.random.default_rng(7)
    holes = np.isnan(with_gaps(np.zeros((5, 24)), rng))
    drawn = np.where(holes, np.nan, studies((0.4, 0.4, 0.2), (20_000, 5, 24), rng))
    found = [estimate(values) for values in drawn[:400]]
    variance = np.nanmean(drawn, axis=2).mean(axis=1).var()
    assert np.mean([f.se**2 for f in found]) == pytest.approx(variance, rel=0.12)
    assert 0.92 <= np.mean([f.low <= 0 <= f.high for f in found]) <= 0.98


def test_order_of_seeds_and_scenes_does_not_matter():
    rng = np.random.default_rng(8)
    values = with_gaps(rng.normal(size=(4, 9)), rng)
    shuffled = values[rng.permutation(4)][:, rng.permutation(9)]
    first, second = estimate(values), estimate(shuffled)
    assert (first.low, first.high) == pytest.approx((second.low, second.high))


def test_units_and_direction_do_not_matter():
    values = np.random.default_rng(9).normal(size=(3, 20))
    found, turned = estimate(values), estimate(-100 * values)
    assert (turned.low, turned.high) == pytest.approx((-100 * found.high, -100 * found.low))
    assert turned.p_value == pytest.approx(found.p_value)


def test_quantiles_are_scipys():
    for df in (1, 1.7, 3, 40.5, 1e4, np.inf):
        for level in (0.9, 0.95, 0.999, 1 - 1e-9):
            expected = stats.t.ppf(0.5 + level / 2, df)
            assert student_quantile(0.5 + level / 2, df) == pytest.approx(expected, rel=1e-6)


def test_interval_and_p_value_agree():
    for seed in range(40):
        found = estimate(np.random.default_rng(seed).normal(0.5, 1, size=(4, 12)))
        assert found.excludes_zero == (found.p_value < 0.05)


def test_one_seed_has_no_interval():
    found = estimate(np.array([[1.0, 2.0, 3.0]]))
    assert (found.mean, found.low, found.high, found.seeds, found.scenes) == (2, None, None, 1, 3)
    assert found.p_value is None
    assert found.half_width is None
    assert not found.excludes_zero
    assert "nothing can be claimed" in found.note
    single = estimate(np.array([[5.0]]))
    assert (single.mean, single.low, single.seeds, single.scenes) == (5.0, None, 1, 1)


def test_all_equal_values():
    found = estimate(np.full((3, 4), 2.0))
    assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0)
    assert "no width" in found.note
    nothing = estimate(np.zeros((3, 4)))
    assert (nothing.low, nothing.high, nothing.p_value) == (0.0, 0.0, 1.0)
    assert not nothing.excludes_zero


def test_a_run_counted_twice_is_pointed_out():
    values = np.random.default_rng(10).normal(size=(4, 30))
    assert "counted twice" not in estimate(values).note
    values[3] = values[1]
    assert "counted twice" in estimate(values).note
    percentages = np.tile([0.0, 100.0], (3, 15))  # equal rows of few values are no evidence
    assert "counted twice" not in estimate(percentages).note


def test_few_values_off_a_tie_are_pointed_out():
    values = np.zeros((3, 40))
    values[0, :4] = values[1, 2:6] = 100.0
    assert "Only 8 values are not 0" in estimate(values).note
    values[2, 1:5] = 100.0
    assert "too few" not in estimate(values).note
    assert "too few" not in estimate(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])).note


def test_empty_seeds_and_scenes_are_left_out_and_gaps_counted():
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [2.0, np.nan, np.nan]])
    np.testing.assert_array_equal(drop_empty(values), [[1.0, 3.0], [2.0, np.nan]])
    found = estimate(values)
    assert (found.seeds, found.scenes, found.missing) == (2, 2, 1)
    assert found.mean == 2.0  # the mean of the seeds' own means, 2 and 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 3), np.nan), "no defined value"),
        (np.empty((0, 0)), "no defined value"),
        (np.array([[1.0, np.inf], [1.0, 2.0]]), "1 infinite"),
        (np.ones(4), r"shape \(4,\)"),
    ],
)
def test_what_has_no_mean_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        estimate(values)


def test_few_seeds_are_said():
    rng = np.random.default_rng(11)
    assert "up to 4.3 instead of 2.0" in estimate(rng.normal(size=(3, 9))).note
    assert "only about 92 %" in estimate(rng.normal(size=(2, 9))).note
    assert estimate(rng.normal(size=(5, 9))).note == ""


def test_an_unfinished_study_is_wider_and_claims_nothing():
    values = np.random.default_rng(12).normal(3.0, 0.1, size=(3, 20))
    whole, look = estimate(values, planned=3), estimate(values, planned=5)
    assert whole.supports_claim
    assert not look.supports_claim
    assert look.preliminary
    assert look.level > whole.level == LEVEL
    assert look.half_width > 1.5 * whole.half_width
    assert "3 of 5 planned seeds" in look.note
    assert estimate(values, planned=2) == estimate(values, planned=3)


def test_unpaired_with_one_scene_has_welchs_standard_error():
    first, second = SLEEP[1][:6, None], SLEEP[0][:, None]
    found = estimate_unpaired(first, second)
    welch = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    assert found.mean / found.se == pytest.approx(welch.statistic)
    assert 5 <= found.df <= welch.df  # never more than Welch's: the harmonic mean of 5 and 9


def test_unpaired_is_calibrated_and_wider_than_paired():
    rng = np.random.default_rng(13)
    hits, wider = [], []
    for _ in range(300):
        shared = rng.normal(0, 1, (3, 1)) + rng.normal(0, 2, (1, 40))
        arm, baseline = (shared + rng.normal(0, 0.5, (3, 40)) for _ in range(2))
        wider.append(estimate_unpaired(arm, baseline).se > estimate(arm - baseline).se)
        arm, baseline = (
            rng.normal(0, 1, (seeds, 1)) + shared[:1] + rng.normal(0, 0.5, (seeds, 40))
            for seeds in (3, 4)
        )
        found = estimate_unpaired(arm, baseline)
        hits.append(found.low <= 0 <= found.high)
    assert np.mean(wider) > 0.95
    assert 0.92 <= np.mean(hits) <= 0.99


def test_unpaired_refuses_gaps_other_scenes_and_a_single_seed_has_no_interval():
    with pytest.raises(DataError, match="4 and 5 scenes"):
        estimate_unpaired(np.ones((2, 4)), np.ones((2, 5)))
    with pytest.raises(DataError, match="complete"):
        estimate_unpaired(np.array([[1.0, np.nan]]), np.ones((2, 2)))
    found = estimate_unpaired(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0], [1.0, 1.0]]))
    assert (found.mean, found.low) == (1.0, None)


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("shares", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.4, 0.4, 0.2)])
def test_coverage_is_nominal(seeds, shares):
    rng = np.random.default_rng([seeds, *(int(10 * share) for share in shares)])
    # 1000 studies: a standard error of 0.7 points
    assert 0.93 <= covers(studies(shares, (1000, seeds, 48), rng)) <= 0.975


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("scenes", [30, 256])
def test_coverage_over_many_designs(seeds, scenes):
    low, high = (0.915, 0.985) if seeds == 2 else (0.935, 0.972)
    for rest in (0.0, 0.1, 0.3, 0.6, 1.0):
        for seed in (0.0, 0.1, 0.3, 0.6, 1.0):
            shares = (seed * (1 - rest), (1 - seed) * (1 - rest), rest)
            rng = np.random.default_rng([seeds, scenes, int(10 * rest), int(10 * seed)])
            drawn = [covers(studies(shares, (500, seeds, scenes), rng)) for _ in range(8)]
            assert low <= np.mean(drawn) <= high, shares


def test_equal_means_of_stepped_scores_are_no_certainty():
    """Three seeds lose one scene of 128 each, never the same: no reason to call it a loss."""
    values = np.zeros((3, 128))
    values[[0, 1, 2], [5, 50, 100]] = -100.0
    found = estimate(values)
    assert found.mean == pytest.approx(-100 / 128)
    residual = (values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()) ** 2
    floor = np.sqrt(residual.sum() / (2 * 127) / values.size)
    assert found.half_width >= floor * (1 - 1e-12) > 0.3
    assert found.p_value > 0
