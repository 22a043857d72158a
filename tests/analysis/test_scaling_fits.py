"""Curve fits against closed forms and known parameters."""

import numpy as np
import pytest

from analysis.curve_points import Points, amount
from analysis.fits import (
    PARAMETERS,
    evaluate,
    fit,
    fit_all,
    held_out,
    solve,
)
from flow3r.errors import DataError

COUNTS = np.array([0, 16, 64, 256, 1024, 4096], dtype=float)
TRUTH = {
    "flat": np.array([70.0]),
    "log-linear": np.array([70.0, 0.8]),
    "power law": np.array([80.0, -15.0, 0.5]),
}


def runs(shape, rng, seeds=5, noise=0.5, seed_sd=0.5, counts=COUNTS):
    """Run scores [S, C] around a true curve."""
    curve = evaluate(shape, TRUTH[shape], amount(counts, 16))
    shifts = rng.normal(0, seed_sd, (seeds, 1))
    return Points(counts, curve + shifts + rng.normal(0, noise, (seeds, len(counts))), 16)


def test_zero_clips_are_an_ordinary_point():
    np.testing.assert_allclose(amount([0, 16, 48], 16), [1, 2, 4])
    power_law = evaluate("power law", TRUTH["power law"], amount([0, 48], 16))
    np.testing.assert_allclose(power_law, [80 - 15, 80 - 15 / 2])


@pytest.mark.parametrize("shape", list(TRUTH))
def test_without_noise_the_parameters_come_back(shape):
    found = fit(shape, runs(shape, np.random.default_rng(1), noise=0.0))
    values = np.array([found.parameters[name] for name in PARAMETERS[shape]])
    shift = found.points.scores[:, 0].mean() - evaluate(shape, TRUTH[shape], np.ones(1))[0]
    expected = TRUTH[shape] + np.eye(len(values))[0] * shift
    np.testing.assert_allclose(values, expected, rtol=2e-3)


def test_line_and_level_are_weighted_least_squares():
    rng = np.random.default_rng(2)
    x, weights, means = amount(COUNTS, 16), np.array([5, 5, 3, 5, 1, 2]), rng.normal(size=(1, 6))
    slope, level = np.polyfit(np.log2(x), means[0], 1, w=np.sqrt(weights))
    np.testing.assert_allclose(solve("log-linear", x, weights, means)[0], [level, slope])
    np.testing.assert_allclose(
        solve("flat", x, weights, means)[0], [np.average(means[0], weights=weights)]
    )


def test_power_law_is_the_least_squares_optimum():
    from scipy import optimize

    rng = np.random.default_rng(3)
    x, weights = amount(COUNTS, 16), np.array([5, 5, 3, 5, 4, 2])
    means = evaluate("power law", TRUTH["power law"], x) + rng.normal(0, 0.3, 6)
    found = solve("power law", x, weights, means[None])[0]

    def residuals(p):
        return np.sqrt(weights) * (evaluate("power law", p, x) - means)

    best = optimize.least_squares(residuals, TRUTH["power law"])
    assert (residuals(found) ** 2).sum() <= (best.fun**2).sum() * 1.001
    np.testing.assert_allclose(found, best.x, rtol=0.02)


def test_seed_effects_do_not_blur_the_shape():
    quiet = runs("log-linear", np.random.default_rng(4), seed_sd=0.0)
    loud = Points(COUNTS, quiet.scores + 50 * np.arange(5)[:, None], 16)
    first, second = fit("log-linear", quiet), fit("log-linear", loud)
    assert first.intervals["slope"] == pytest.approx(second.intervals["slope"])
    assert first.aicc == pytest.approx(second.aicc)
    widths = [np.ptp(f.intervals["level"]) for f in (first, second)]
    assert widths[1] > 10 * widths[0]


def test_missing_runs_are_compared_within_their_seeds():
    points = runs("log-linear", np.random.default_rng(5), noise=0.0, seed_sd=20.0)
    scores = points.scores.copy()
    scores[0, 5] = scores[3, 1] = scores[4, 0] = np.nan
    found = fit("log-linear", Points(COUNTS, scores, 16))
    assert found.parameters["slope"] == pytest.approx(0.8)


@pytest.mark.parametrize("shape", list(TRUTH))
def test_aicc_finds_the_true_shape(shape):
    rng = np.random.default_rng(6)
    chosen = [fit_all(runs(shape, rng), resamples=10)[0].shape for _ in range(40)]
    assert chosen.count(shape) >= 32


def test_aicc_by_hand():
    # 3 counts x 2 seeds without seed effect: residuals of the flat shape are -1 0 1 twice,
    # n = 6, k = level + 1 seed block + variance = 3: 6 ln(4 / 6) + 2 * 3 * 6 / (6 - 3 - 1)
    scores = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    found = fit("flat", Points(np.array([0.0, 1, 3]), scores, 1.0))
    assert found.aicc == pytest.approx(6 * np.log(4 / 6) + 18)


def covered(shape, studies, seeds, rng, resamples=300):
    """Share of studies whose intervals hold each true parameter, and the held-out point."""
    hits = dict.fromkeys(PARAMETERS[shape], 0)
    inside = 0
    for _ in range(studies):
        points = runs(shape, rng, seeds)
        found = fit(shape, points, resamples=resamples)
        for name, truth in zip(PARAMETERS[shape], TRUTH[shape]):
            low, high = found.intervals[name]
            hits[name] += low <= truth <= high
        tried = {each.shape: each for each in held_out(points, resamples=resamples)}
        inside += tried[shape].inside
    return {name: count / studies for name, count in hits.items()}, inside / studies


@pytest.mark.parametrize("shape", list(TRUTH))
def test_intervals_hold_the_truth(shape):
    # 120 studies: a standard error of 2 points
    hits, inside = covered(shape, 120, 5, np.random.default_rng(7))
    assert all(0.89 <= share <= 1.0 for share in hits.values()), hits
    assert inside >= 0.86


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("shape", list(TRUTH))
def test_intervals_hold_the_truth_at_the_nominal_rate(shape, seeds):
    hits, inside = covered(shape, 1000, seeds, np.random.default_rng(seeds), 500)
    assert all(0.93 <= share <= 0.985 for share in hits.values()), hits
    assert 0.90 <= inside <= 0.98


def test_extrapolation_is_marked_and_wider():
    found = fit("power law", runs("power law", np.random.default_rng(8)))
    curve = found.at([0, 4096, 65536])
    assert curve.extrapolated.tolist() == [False, False, True]
    assert (curve.low < curve.mean).all()
    assert (curve.mean < curve.high).all()
    line = fit("log-linear", runs("log-linear", np.random.default_rng(8))).at([1024, 1 << 20])
    assert np.diff(line.high - line.low)[0] > 0


def test_an_exponent_that_the_data_do_not_fix_is_said():
    straight = fit("power law", runs("log-linear", np.random.default_rng(9)))
    assert not straight.identified
    assert fit("power law", runs("power law", np.random.default_rng(9), noise=0.1)).identified


def test_held_out_point_of_a_curve_that_bends():
    # a line fitted to a saturating curve's smaller points overshoots its largest
    points = runs("power law", np.random.default_rng(10), noise=0.1)
    found = {each.shape: each for each in held_out(points)}
    assert found["power law"].inside
    assert not found["flat"].inside
    assert not found["log-linear"].inside
    assert found["log-linear"].predicted > found["log-linear"].measured
    assert found["flat"].count == 4096


def test_one_seed_has_fits_without_intervals():
    points = runs("log-linear", np.random.default_rng(11), seeds=1, noise=0.1)
    found = fit_all(points)
    assert {each.shape for each in found} == set(TRUTH)
    assert all(each.intervals is None for each in found)
    assert found[0].at([10]).low is None
    assert held_out(points)[0].inside is None


def test_few_counts_have_fewer_shapes():
    rng = np.random.default_rng(12)
    three = fit_all(runs("flat", rng, counts=COUNTS[:3]))
    assert {each.shape for each in three} == {"flat", "log-linear"}
    with pytest.raises(DataError, match="at least two"):
        fit_all(runs("flat", rng, counts=COUNTS[:1]))


def test_all_equal_scores_are_flat():
    found = fit_all(Points(COUNTS, np.full((3, 6), 50.0), 16))
    flat = next(each for each in found if each.shape == "flat")
    assert flat.intervals["level"] == pytest.approx((50.0, 50.0))


@pytest.mark.parametrize(
    ("counts", "scores", "unit", "message"),
    [
        ([0, 16], [[1.0]], 16, "one ascending count"),
        ([16, 0], [[1.0, 2.0]], 16, "one ascending count"),
        ([0, 16], [[1.0, 2.0]], 0, "unit=0"),
        ([0, 16], [[1.0, np.nan]], 16, r"no run at \[16.0\]"),
        ([0, 16], [[1.0, 2.0], [np.nan, np.nan]], 16, "a seed has no run"),
    ],
)
def test_what_is_no_curve_is_refused(counts, scores, unit, message):
    with pytest.raises(DataError, match=message):
        Points(np.array(counts, dtype=float), np.array(scores), unit)
