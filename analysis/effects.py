"""How large a difference is, without units: effect sizes and the summaries of rliable.

rliable: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (arXiv 2108.13264). Its intervals resample runs within each task; here one run is scored
on all scenes, so the intervals are those of `analysis/statistics.py`, which know that.
Undefined scores (NaN) are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from analysis.crossed import spread, terms
from analysis.statistics import LEVEL, Estimate, drop_empty, estimate
from flow3r.errors import DataError

TRIMMED = 0.25  # of the scores, at either end


@dataclass(frozen=True)
class Profile:
    """Share of scores above each threshold [T], with its interval; nothing with one seed."""

    thresholds: np.ndarray
    share: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def cohen_dz(differences: np.ndarray) -> float:
    """Mean difference in standard deviations of the differences [n >= 2], corrected for small n.

    Cohen 1988 (d_z), with the exact correction of Hedges 1981. Of the seeds' mean differences it
    says how sure a run is to be better. NaN when all differences are equal, and for two of them,
    where no correction makes it unbiased.
    """
    differences = np.asarray(differences, dtype=np.float64)
    n = len(differences)
    if n < 2:
        raise DataError(f"{n} difference: an effect size needs at least 2")
    deviation = differences.std(ddof=1)
    if n == 2 or deviation == 0:
        return np.nan
    return float(hedges_factor(n - 1) * differences.mean() / deviation)


def hedges_factor(df: int) -> float:
    """The factor that makes a standardised mean unbiased, for 2 or more degrees of freedom."""
    return float(np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2))


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank correlation (Kerby 2014): rank sums for less against, in [-1, 1].

    The effect size that belongs to Wilcoxon's signed rank test; zero differences are left out, and
    it is 0 where nothing else is left.
    """
    differences = np.asarray(differences, dtype=np.float64)
    differences = differences[~np.isnan(differences) & (differences != 0)]
    if differences.size == 0:
        return 0.0
    ranks = stats.rankdata(np.abs(differences))
    return float((ranks * np.sign(differences)).sum() / ranks.sum())


def iqm(values: np.ndarray) -> np.ndarray:
    """Interquartile mean of complete scores [..., S, K]: the mean of their middle half."""
    flat = values.reshape(*values.shape[:-2], -1)
    return stats.trim_mean(flat, TRIMMED, axis=-1)


def iqm_estimate(values: np.ndarray, level: float = LEVEL) -> Estimate:
    """Interquartile mean of scores [S, K] with its crossed interval.

    The interval is that of Tukey & McLaughlin 1963: the standard error is that of the winsorised
    scores, over the share that is kept.
    """
    values = drop_empty(np.asarray(values, dtype=np.float64))
    defined = np.sort(values[~np.isnan(values)])
    if defined.size == 0:
        raise DataError("no defined value: no interquartile mean")
    cut = int(TRIMMED * len(defined))
    centre = float(defined[cut : len(defined) - cut].mean())
    winsorised = np.clip(values, defined[cut], defined[len(defined) - cut - 1])
    pulls = (winsorised - np.nanmean(winsorised)) / (1 - 2 * TRIMMED)
    return _recentred(estimate(pulls, level), centre)


def profile(values: np.ndarray, thresholds: np.ndarray, level: float = LEVEL) -> Profile:
    """Performance profile: the share of seed-scene scores above each threshold, with a band."""
    values = drop_empty(np.asarray(values, dtype=np.float64))
    above = np.where(np.isnan(values), np.nan, values > np.asarray(thresholds)[:, None, None])
    if len(values) < 2:
        return Profile(thresholds, np.nanmean(above, axis=(1, 2)), None, None)
    if np.isnan(values).any():
        found = [estimate(matrix, level) for matrix in above]
        share, half = np.array([(f.mean, f.half_width) for f in found]).T
    else:
        each = terms(above)
        share, half = each.mean, spread(each).half_width(level)
    return Profile(thresholds, share, np.clip(share - half, 0, 1), np.clip(share + half, 0, 1))


def probability_of_improvement(
    arm: np.ndarray, baseline: np.ndarray, level: float = LEVEL
) -> Estimate:
    """P(a run of the arm beats a run of the baseline on a scene), ties half, with its interval.

    arm, baseline [S, K], higher is better, rows are shared seeds. All S x S pairs of runs are
    compared, as in rliable; the interval is that of the Hoeffding projection, cut to [0, 1].
    """
    if arm.shape != baseline.shape:
        raise DataError(f"{arm.shape} and {baseline.shape}: seeds and scenes must be shared")
    wins = (np.sign(arm[:, None] - baseline[None]) + 1) / 2  # [S, S, K], NaN where undefined
    if np.isnan(wins).any():
        shared = ~np.isnan(wins).any(axis=(0, 1))
        if not shared.any():
            raise DataError("no scene has a value in every run: no probability of improvement")
        wins = wins[..., shared]
    projection = wins.mean(1) + wins.mean(0) - wins.mean((0, 1))  # [S, K]
    found = estimate(projection, level)
    if found.low is None:
        return found
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _recentred(found: Estimate, centre: float) -> Estimate:
    if found.low is None:
        return replace(found, mean=centre)
    half = found.half_width
    return replace(found, mean=centre, low=centre - half, high=centre + half)
