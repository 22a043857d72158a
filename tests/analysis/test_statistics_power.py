"""Power against published tables and simulation; looks at a running study."""

import numpy as np
import pytest
from scipy import stats

from analysis.crossed import Components, spread, terms
from analysis.power import (
    detectable,
    gaussian_studies,
    power,
    seeds_for,
    seeds_needed,
    simulated_power,
)
from analysis.sequential import look_level, spent_alpha
from flow3r.errors import DataError

ONE = Components(seed=1.0, scene=0.0, rest=0.0)
CROSSED = Components(seed=1.0, scene=60.0, rest=80.0)


def test_paired_t_test_of_cohens_tables():
    # Cohen 1988, table 2.3.5 and G*Power: d_z = 0.5 needs 34 pairs for 80 % (exactly 0.8078)
    assert power(ONE, 0.5, 34, 1) == pytest.approx(0.8078, abs=1e-4)
    assert seeds_for(ONE, 0.5, 1) == 34
    assert detectable(ONE, 34, 1) == pytest.approx(0.5, abs=0.005)


def test_power_without_an_effect_is_the_level():
    assert power(CROSSED, 0.0, 5, 64) == pytest.approx(0.05)
    assert power(CROSSED, 1.0, 5, 64) == power(CROSSED, -1.0, 5, 64)
    assert power(CROSSED, 1e6, 3, 64) == 1.0


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("found", [CROSSED, Components(2.0, 0.0, 0.0), Components(0.0, 0.0, 90.0)])
def test_stated_power_is_the_simulated_one(seeds, found):
    difference = detectable(found, 5, 64)
    drawn = simulated_power(found, difference, (2000, seeds, 64), np.random.default_rng(seeds))
    # The formula takes the average degrees of freedom: up to 6 points too careful at 3 seeds.
    assert -0.035 <= drawn - power(found, difference, seeds, 64) <= 0.07


def test_seeds_for_is_the_fewest():
    for difference in (1.5, 3.0, 6.0):
        seeds = seeds_for(CROSSED, difference, 64)
        if seeds is None:
            continue
        assert power(CROSSED, difference, seeds, 64) >= 0.8
        assert seeds == 2 or power(CROSSED, difference, seeds - 1, 64) < 0.8


def test_more_seeds_cannot_replace_scenes():
    # the scenes alone have a standard error of sqrt(60 / 64) = 0.97: 1.0 is never found
    assert seeds_for(CROSSED, 1.0, 64) is None
    assert seeds_for(CROSSED, 1.0, 6400) is not None


def test_seeds_needed_from_a_pilot():
    pilot = gaussian_studies(CROSSED, (1, 200, 400), np.random.default_rng(1))[0]
    found = seeds_needed(pilot, 1.5)
    expected = seeds_for(CROSSED, 1.5, 400)
    assert abs(found.seeds - expected) <= 2
    assert found.cautious >= found.seeds
    small = seeds_needed(pilot[:3], 1.5)
    assert small.cautious is None or small.cautious > found.cautious
    with pytest.raises(DataError, match="unknown below 2"):
        seeds_needed(pilot[:1], 1.5)
    with pytest.raises(DataError, match="difference=0"):
        seeds_needed(pilot, 0.0)


def test_no_variance_at_all():
    nothing = Components(0.0, 0.0, 0.0)
    assert (power(nothing, 0.1, 3, 9), power(nothing, 0.0, 3, 9)) == (1.0, 0.0)
    assert detectable(nothing, 3, 9) == 0.0
    with pytest.raises(DataError, match="seeds=1"):
        power(ONE, 1.0, 1, 9)


def test_spending_is_lan_and_demets():
    # Two looks of an O'Brien-Fleming-type study at 0.05: 2.963 at half of the information; five
    # looks: 4.877 at the first (published boundaries)
    assert spent_alpha(0.5, 0.05) == pytest.approx(2 * stats.norm.sf(2.963), rel=2e-3)
    assert spent_alpha(0.2, 0.05) == pytest.approx(2 * stats.norm.sf(4.877), rel=5e-3)
    assert spent_alpha(1.0, 0.05) == pytest.approx(0.05)
    with pytest.raises(DataError, match="share=0"):
        spent_alpha(0.0, 0.05)


def test_level_of_a_look():
    assert look_level(5, 5, 0.95) == look_level(7, 5, 0.95) == 0.95
    levels = [look_level(seeds, 5, 0.95) for seeds in (1, 2, 3, 4)]
    assert levels == sorted(levels, reverse=True)
    assert all(0.95 < level < 1 for level in levels)
    with pytest.raises(DataError, match="at least 1"):
        look_level(0, 5, 0.95)


def test_peeking_five_times_claims_nothing_more():
    drawn = gaussian_studies(Components(1.0, 30.0, 60.0), (2000, 10, 48), np.random.default_rng(2))
    naive, shown = np.zeros(2000, dtype=bool), np.zeros(2000, dtype=bool)
    for seeds in (2, 4, 6, 8, 10):
        found = terms(drawn[:, :seeds])
        error, mean = spread(found), np.abs(found.mean)
        naive |= mean > error.half_width(0.95)
        shown |= mean > error.half_width(look_level(seeds, 10, 0.95))
    assert naive.mean() > 0.09  # what peeking does without a rule
    assert shown.mean() <= 0.07
