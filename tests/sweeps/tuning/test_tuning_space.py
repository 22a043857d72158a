"""The candidates that every formulation tries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from flow3r.errors import ConfigError
from sweeps.tuning.importance import FEWEST, importances
from sweeps.tuning.settings import Parameter
from sweeps.tuning.space import candidates

SPACE = {"lr": Parameter("rate", 2.5e-4, 4e-3), "weight": Parameter("weight", 4.0, 100.0)}
DEFAULTS = {"lr": 1e-3, "weight": 20.0}


def unit_cube(points):
    low, high = (np.log([getattr(p, end) for p in SPACE.values()]) for end in ("low", "high"))
    return (np.log([list(point.values()) for point in points]) - low) / (high - low)


def test_the_first_candidate_has_the_default_values():
    assert candidates(SPACE, DEFAULTS, 3, 0)[0] == DEFAULTS


def test_more_candidates_keep_the_first_ones():
    assert candidates(SPACE, DEFAULTS, 16, 0)[:8] == candidates(SPACE, DEFAULTS, 8, 0)


def test_another_seed_gives_other_points():
    first, second = (candidates(SPACE, DEFAULTS, 4, seed) for seed in (0, 1))
    assert first[0] == second[0]
    assert all(a != b for a, b in zip(first[1:], second[1:]))


def test_values_stay_in_the_space_with_three_digits():
    for values in candidates(SPACE, DEFAULTS, 33, 0):
        for name, value in values.items():
            assert SPACE[name].low <= value <= SPACE[name].high
            assert float(f"{value:.3g}") == value


def test_points_fill_the_space_more_evenly_than_chance():
    quasi = unit_cube(candidates(SPACE, DEFAULTS, 33, 0)[1:])
    random = np.random.default_rng(0).random((200, *quasi.shape))
    assert qmc.discrepancy(quasi) < min(qmc.discrepancy(sample) for sample in random)


def test_a_default_outside_of_the_space_is_refused():
    with pytest.raises(ConfigError, match=r"space.lr: the default 0.1 is not within \[0.00025, 0"):
        candidates(SPACE, {**DEFAULTS, "lr": 0.1}, 3, 0)


def test_importance_finds_the_setting_that_matters():
    points = candidates(SPACE, DEFAULTS, 16, 0)
    scores = [np.log(values["weight"]) for values in points]
    found = importances(SPACE, points, scores)
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["weight"] > 0.8
    assert importances(SPACE, points, scores) == found


def test_no_importance_of_too_few_or_equal_scores():
    points = candidates(SPACE, DEFAULTS, FEWEST, 0)
    scores = list(range(FEWEST))
    assert importances(SPACE, points, scores) is not None
    assert importances(SPACE, points, [*scores[1:], None]) is None
    assert importances(SPACE, points, [*scores[1:], float("nan")]) is None
    assert importances(SPACE, points, [1.0] * FEWEST) is None
