"""Who goes on at a rung."""

from __future__ import annotations

import math
import operator

import pytest

from flow3r.errors import ConfigError
from sweeps.tuning.halving import field_sizes, ranking, rung_steps, step_shares, survivors

HIGHER, LOWER = operator.gt, operator.lt


def test_the_better_half_goes_on():
    scores = {0: 5.0, 1: 9.0, 2: 1.0, 3: 7.0, 4: 3.0, 5: 8.0, 6: 2.0, 7: 4.0}
    assert survivors(scores, 4, HIGHER) == (0, 1, 3, 5)
    assert survivors(scores, 4, LOWER) == (0, 2, 4, 6)


def test_the_default_keeps_one_of_the_places():
    assert survivors({0: 1.0, 1: 9.0, 2: 8.0, 3: 7.0}, 2, HIGHER) == (0, 1)


def test_equal_scores_go_to_the_lower_number():
    assert survivors({0: 5.0, 1: 5.0, 2: 6.0, 3: 6.0, 4: 6.0}, 3, HIGHER) == (0, 2, 3)


def test_failed_candidates_take_no_place():
    scores = {0: 5.0, 1: None, 2: math.nan, 3: 1.0, 4: 0.5, 5: 0.25}
    assert survivors(scores, 3, HIGHER) == (0, 3, 4)
    assert survivors({0: None, 1: 2.0, 2: 3.0, 3: 1.0}, 2, HIGHER) == (1, 2)
    assert survivors({0: None, 1: None}, 1, HIGHER) == ()


def test_ranking_is_best_first():
    assert ranking({3: 1.0, 1: 2.0, 2: 2.0, 0: None}, HIGHER) == [1, 2, 3]


def test_fields_halve_and_keep_the_odd_one():
    assert field_sizes(8, 1) == (8, 4)
    assert field_sizes(3, 1) == (3, 2)
    assert field_sizes(16, 2) == (16, 8, 4)
    assert field_sizes(5, 0) == (5,)


def test_the_steps_of_a_field():
    # 8 candidates train 185 steps and 4 of them 185 more: 2220 steps, six runs of 370.
    assert step_shares((8, 4), (185,), 370) == pytest.approx(6.0)
    assert step_shares((5,), (), 370) == pytest.approx(5.0)


def test_rungs_lie_where_every_formulation_trains():
    assert rung_steps((0.25, 0.5), 3100, 100) == (775, 1550)
    with pytest.raises(ConfigError, match="step 2, which does not lie between the steps 2 and 10"):
        rung_steps((0.2,), 10, 2)
    with pytest.raises(ConfigError, match="the same step"):
        rung_steps((0.5, 0.51), 10, 2)
