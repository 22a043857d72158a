"""Sign-flip tests and Holm's correction against published examples, scipy and enumeration."""

import numpy as np
import pytest
from scipy import stats

from analysis.permutation import holm, scene_test, seed_test, sign_flip_test, smallest_p
from flow3r.errors import DataError

# Darwin's crossed and self-fertilised maize, height differences in eighths of an inch; Fisher
# 1935, "The Design of Experiments", section 21: 863 of the 2^15 sign patterns have a sum of 314 or
# more, so that the two-sided p is 1726 / 32768 = 5.267 %.
MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)


def test_fishers_maize():
    found = sign_flip_test(MAIZE)
    assert found.p_value == 1726 / 32768
    assert (found.n, found.exact) == (15, True)


def test_exact_test_is_scipys():
    rng = np.random.default_rng(1)
    for n in (2, 5, 9):
        differences = rng.normal(0.5, 1, n)
        expected = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert sign_flip_test(differences).p_value == pytest.approx(expected.pvalue)


def test_random_signs_agree_with_the_normal_limit():
    differences = np.random.default_rng(2).normal(0.1, 1, 200)
    found = sign_flip_test(differences)
    z = differences.sum() / np.sqrt((differences**2).sum())
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.05)
    assert not found.exact
    assert sign_flip_test(differences) == found  # the stream is fixed
    assert sign_flip_test(np.full(30, 1.0)).p_value == found.smallest


def test_the_smallest_p_is_reached_and_says_what_few_seeds_cannot():
    for n in range(1, 8):
        found = sign_flip_test(np.arange(1.0, n + 1))
        assert found.p_value == found.smallest == smallest_p(n) == 2 / 2**n
        assert found.can_reach(0.05) == (n >= 6)


def test_ties_zeros_and_a_mean_of_zero():
    assert sign_flip_test(np.zeros(4)).p_value == 1.0
    assert sign_flip_test(np.array([1.0, -1.0])).p_value == 1.0
    # 0.1 + 0.2 - 0.3 is not zero to the last digit, and must count as its mirror image does
    assert sign_flip_test(np.array([0.1, 0.2, 0.3, 0.0])).p_value == 0.25


def test_over_seeds_and_over_scenes():
    values = np.array([[1.0, 2.0, np.nan], [3.0, 1.0, 2.0]])
    assert seed_test(values) == sign_flip_test(np.array([1.5, 2.0]))
    assert scene_test(values) == sign_flip_test(np.array([2.0, 1.5, 2.0]))


def test_the_test_holds_its_level():
    rng = np.random.default_rng(3)
    rejected = np.mean([sign_flip_test(rng.standard_t(3, 8)).p_value <= 0.05 for _ in range(600)])
    assert 0.02 <= rejected <= 0.07


@pytest.mark.parametrize(
    ("differences", "message"),
    [([], "non-empty"), ([[1.0]], "vector"), ([1.0, np.nan], "not finite")],
)
def test_what_cannot_be_tested_is_refused(differences, message):
    with pytest.raises(DataError, match=message):
        sign_flip_test(np.array(differences))


def test_holm_by_hand():
    # Holm 1979: the smallest of m times m, the next times m - 1, ..., never falling, at most 1.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.2]), [0.2])
    assert holm([]).size == 0
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        holm([0.2, 1.2])


def test_holm_keeps_the_family_wise_error():
    rng = np.random.default_rng(4)
    p_values = rng.random((4000, 6))
    assert np.mean([holm(family).min() <= 0.05 for family in p_values]) == pytest.approx(
        0.05, abs=0.012
    )
