"""Effect sizes and rliable's summaries against published examples, scipy and enumeration."""

import numpy as np
import pytest
from scipy import stats

from analysis.effects import (
    cohen_dz,
    hedges_factor,
    iqm,
    iqm_estimate,
    probability_of_improvement,
    profile,
    rank_biserial,
)
from analysis.statistics import estimate
from flow3r.errors import DataError

# Hollander & Wolfe 1973, "Nonparametric Statistical Methods", p. 29: depression scale of nine
# patients before and after a tranquilliser; V = 40 of 45 rank points, exact one-sided p = 0.01953.
BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])


def test_rank_biserial_of_a_published_example():
    wilcoxon = stats.wilcoxon(BEFORE - AFTER, alternative="greater")
    assert (wilcoxon.statistic, round(wilcoxon.pvalue, 5)) == (40, 0.01953)
    assert rank_biserial(BEFORE - AFTER) == pytest.approx((40 - 5) / 45)


def test_rank_biserial_is_wilcoxons_statistic_rescaled():
    rng = np.random.default_rng(1)
    differences = np.round(rng.normal(0.3, 1, 30), 1)  # with ties and zeros
    kept = differences[differences != 0]
    positive = stats.wilcoxon(kept, alternative="greater").statistic
    total = len(kept) * (len(kept) + 1) / 2
    assert rank_biserial(differences) == pytest.approx(2 * positive / total - 1)
    assert rank_biserial(np.append(differences, np.nan)) == rank_biserial(differences)
    assert rank_biserial(np.zeros(3)) == 0.0


def test_hedges_factor_is_the_published_one():
    # Hedges 1981: about 1 - 3 / (4 df - 1); 0.9228 at 10 degrees of freedom
    assert hedges_factor(10) == pytest.approx(0.9228, abs=1e-4)
    assert hedges_factor(2) == pytest.approx(0.5642, abs=1e-4)
    for df in (5, 20, 100):
        assert hedges_factor(df) == pytest.approx(1 - 3 / (4 * df - 1), abs=2e-3)


def test_cohen_dz_is_unbiased():
    rng = np.random.default_rng(2)
    found = [cohen_dz(rng.normal(0.8, 1, 5)) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)
    plain = [(d := rng.normal(0.8, 1, 5)).mean() / d.std(ddof=1) for _ in range(4000)]
    assert np.mean(plain) > 0.95  # what the correction is for
    assert np.isnan(cohen_dz(np.ones(3)))
    assert np.isnan(cohen_dz(np.array([1.0, 2.0])))
    with pytest.raises(DataError, match="at least 2"):
        cohen_dz(np.ones(1))


def test_iqm_is_the_trimmed_mean_with_its_published_error():
    scores = np.random.default_rng(3).exponential(size=(20, 1))
    found = iqm_estimate(scores)
    assert found.mean == pytest.approx(stats.trim_mean(scores[:, 0], 0.25)) == iqm(scores)
    # Tukey & McLaughlin 1963; one scene, so that only the seeds vary
    assert found.se == pytest.approx(stats.mstats.trimmed_stde(scores[:, 0], (0.25, 0.25)))


def test_iqm_ignores_what_is_extreme_or_missing():
    scores = np.random.default_rng(4).normal(size=(4, 40))
    found = iqm_estimate(scores)
    wild = scores.copy()
    wild[0, scores[0].argmax()] = 1e6
    assert iqm_estimate(wild).mean == pytest.approx(found.mean, abs=0.05)
    wild[0, scores[0].argmax()] = np.nan
    assert iqm_estimate(wild).mean == pytest.approx(found.mean, abs=0.05)
    assert iqm_estimate(wild).missing == 1
    with pytest.raises(DataError, match="no defined"):
        iqm_estimate(np.full((2, 2), np.nan))


def test_iqm_interval_is_calibrated():
    rng = np.random.default_rng(5)
    hits = []
    for _ in range(300):
        scores = rng.normal(size=(4, 40)) + rng.normal(0, 0.3, (4, 1)) + rng.normal(size=(1, 40))
        found = iqm_estimate(scores)
        hits.append(found.low <= 0 <= found.high)
    assert 0.91 <= np.mean(hits) <= 0.985


def test_profile_is_the_share_above_each_threshold():
    values = np.array([[0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 4.0, 2.0]])
    thresholds = np.array([-1.0, 0.5, 1.0, 9.0])
    found = profile(values, thresholds)
    np.testing.assert_allclose(found.share, [1.0, 7 / 8, 4 / 8, 0.0])
    expected = estimate((values > 0.5).astype(float))
    assert found.low[1] == pytest.approx(max(expected.low, 0.0))
    assert (found.low >= 0).all()
    assert (found.high <= 1).all()


def test_profile_with_gaps_and_with_one_seed():
    values = np.array([[0.0, np.nan, 2.0], [1.0, 5.0, 4.0]])
    found = profile(values, np.array([1.5]))
    assert found.share[0] == pytest.approx((1 / 2 + 2 / 3) / 2)
    single = profile(values[1:], np.array([1.5]))
    assert (single.share[0], single.low) == (pytest.approx(2 / 3), None)


def test_probability_of_improvement_is_mann_whitney():
    rng = np.random.default_rng(6)
    arm, baseline = (np.round(rng.normal(m, 1, (6, 1)), 1) for m in (0.8, 0.0))
    u = stats.mannwhitneyu(arm[:, 0], baseline[:, 0]).statistic
    assert probability_of_improvement(arm, baseline).mean == pytest.approx(u / 36)


def test_probability_of_improvement_over_scenes():
    arm = np.array([[3.0, 1.0], [2.0, 1.0]])
    baseline = np.array([[1.0, 1.0], [2.0, 0.0]])
    # scene 1: 3>1, 3>2, 2>1, 2=2: 3.5 of 4; scene 2: 1=1, 1>0, twice: 3 of 4
    found = probability_of_improvement(arm, baseline)
    assert found.mean == pytest.approx((3.5 / 4 + 3 / 4) / 2)
    assert 0 <= found.low <= found.high <= 1
    assert probability_of_improvement(arm, arm).mean == 0.5
    assert probability_of_improvement(arm[:1], baseline[:1]).low is None


def test_probability_of_improvement_is_calibrated():
    rng = np.random.default_rng(7)
    hits = []
    for _ in range(300):
        scene = rng.normal(size=(1, 40))
        arm, baseline = (
            scene + rng.normal(0, 0.5, (4, 1)) + rng.normal(0, 1, (4, 40)) for _ in range(2)
        )
        found = probability_of_improvement(arm, baseline)
        hits.append(found.low <= 0.5 <= found.high)
    assert 0.91 <= np.mean(hits) <= 0.99


def test_probability_of_improvement_refuses_what_is_not_shared():
    with pytest.raises(DataError, match="shared"):
        probability_of_improvement(np.ones((2, 3)), np.ones((3, 3)))
    gaps = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert probability_of_improvement(gaps, np.zeros((2, 2))).scenes == 1
    with pytest.raises(DataError, match="no scene"):
        probability_of_improvement(np.full((2, 2), np.nan), np.zeros((2, 2)))
