"""What a study of so many seeds and scenes can find, and how many seeds the next one needs.

By formula, from the variances of seeds, scenes and the rest (`analysis/crossed.py`): the t
statistic of a true difference follows a noncentral t distribution, with the standard error and
the degrees of freedom that the design has on average. `simulated_power` checks the formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from analysis.crossed import Components, combine, components, spread, terms
from analysis.statistics import LEVEL, drop_empty
from flow3r.errors import DataError

POWER = 0.8  # the usual aim (Cohen 1988)
MOST_SEEDS = 1000
CAUTION = 0.8  # confidence of the cautious answer


@dataclass(frozen=True)
class SeedsNeeded:
    """Seeds of the next study; None where even MOST_SEEDS are too few and more scenes are needed.

    cautious: with the seeds' variance at its upper 80 % confidence bound, since a variance known
    from three to five seeds may well be twice as large.
    """

    seeds: int | None
    cautious: int | None


def design_error(found: Components, seeds: int, scenes: int) -> tuple[float, float]:
    """Standard error and degrees of freedom that a study of that size has on average."""
    if seeds < 2 or scenes < 1:
        raise DataError(f"seeds={seeds}, scenes={scenes}: a study needs at least 2 and 1")
    kept = found.seed / seeds + found.rest / (seeds * scenes)
    seed_part, scene_part = (kept, seeds - 1), (found.scene / scenes, scenes - 1)
    if seeds > scenes > 1:
        kept = found.scene / scenes + found.rest / (seeds * scenes)
        seed_part, scene_part = (found.seed / seeds, seeds - 1), (kept, scenes - 1)
    error = combine([seed_part, scene_part])
    return float(error.se), float(error.df)


def power(
    found: Components, difference: float, seeds: int, scenes: int, level: float = LEVEL
) -> float:
    """Chance that the interval excludes zero when the true difference is `difference`."""
    error, df = design_error(found, seeds, scenes)
    if error == 0:
        return float(difference != 0)
    quantile, shift = stats.t.ppf(0.5 + level / 2, df), abs(difference) / error
    # Beyond 5 the wrong side is below 1e-7, and scipy may answer NaN.
    wrong_side = stats.nct.cdf(-quantile, df, shift) if shift < 5 else 0.0
    return float(stats.nct.sf(quantile, df, shift) + wrong_side)


def detectable(
    found: Components, seeds: int, scenes: int, level: float = LEVEL, aim: float = POWER
) -> float:
    """The smallest true difference that such a study finds with power `aim`."""
    error, df = design_error(found, seeds, scenes)
    if error == 0:
        return 0.0
    most = error * (stats.t.ppf(0.5 + level / 2, df) + stats.t.ppf(aim, df)) * 3
    return float(optimize.brentq(lambda d: power(found, d, seeds, scenes, level) - aim, 0, most))


def seeds_for(
    found: Components, difference: float, scenes: int, level: float = LEVEL, aim: float = POWER
) -> int | None:
    """The fewest seeds that find `difference` on so many scenes with power `aim`; None if none."""
    if difference == 0:
        raise DataError("difference=0: no number of seeds finds a difference that is not there")

    def enough(seeds: int) -> bool:
        return power(found, difference, seeds, scenes, level) >= aim

    if not enough(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS  # too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def seeds_needed(
    values: np.ndarray, difference: float, level: float = LEVEL, aim: float = POWER
) -> SeedsNeeded:
    """Seeds with which the next study, on as many scenes, finds `difference`.

    values: the paired differences [S >= 2, K] of this one.
    """
    values = drop_empty(np.asarray(values, dtype=np.float64))
    seeds, scenes = values.shape
    if seeds < 2:
        raise DataError(f"{seeds} seeds: the spread over seeds is unknown below 2")
    found = components(values)
    factor = (seeds - 1) / stats.chi2.ppf(1 - CAUTION, seeds - 1)
    term = float(terms(values).seed) * factor * seeds  # var(seed) + var(rest) / K at its bound
    cautious = Components(max(term - found.rest / scenes, found.seed), found.scene, found.rest)
    return SeedsNeeded(
        seeds_for(found, difference, scenes, level, aim),
        seeds_for(cautious, difference, scenes, level, aim),
    )


def simulated_power(
    found: Components,
    difference: float,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    level: float = LEVEL,
) -> float:
    """Share of simulated Gaussian studies, shape (studies, seeds, scenes), that exclude zero."""
    each = terms(gaussian_studies(found, shape, rng) + difference)
    return float((np.abs(each.mean) > spread(each).half_width(level)).mean())


def gaussian_studies(
    found: Components, shape: tuple[int, int, int], rng: np.random.Generator
) -> np.ndarray:
    """Paired differences [studies, S, K] around zero with these variances."""
    studies, seeds, scenes = shape
    values = rng.normal(0, np.sqrt(found.rest), shape)
    values += rng.normal(0, np.sqrt(found.seed), (studies, seeds, 1))
    return values + rng.normal(0, np.sqrt(found.scene), (studies, 1, scenes))
