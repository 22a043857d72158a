"""Intervals for a quantity measured over seeds and scenes, and for paired differences of it.

A measurement is a matrix `values[S, K]`: S seeds (runs) by K scenes, NaN where a scene has no
value. Every arm of a study shares its seeds and scenes, so that a difference of two arms is the
same matrix of differences, and a contrast over several arms a weighted sum of matrices.

The interval is the hull of two 95 % intervals for the mean over seeds and scenes:
- a percentile bootstrap that resamples seeds and scenes, both with replacement (two-way, also
  called pigeonhole bootstrap: Owen 2007, "The pigeonhole bootstrap");
- a t interval whose squared half width is t(S-1)^2 (variance of the seed means) / S
  + t(K-1)^2 (variance of the scene means) / K (each part with its own quantile, as Cochran and
  Cox do for unequal variances; Satterthwaite's degrees of freedom cover less at two seeds).
With 3 or 5 seeds there are only 10 or 126 distinct resamples of the seeds and the percentile
bootstrap alone covers far less than it claims; the t interval repairs that. Both count the
seed-scene interaction more than once, so the hull errs on the wide side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

RESAMPLES = 10_000
LEVEL = 0.95
BOOTSTRAP_SEED = 20261123  # any fixed number: the same records give the same interval
CHUNK = 2_000  # resamples worked on at once, so that memory stays small


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and scenes; `low` and `high` are None where no interval can be given.

    seeds, scenes: how many entered; missing: seed-scene pairs without a value among them.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int
    scenes: int
    missing: int = 0

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval."""
        return None if self.low is None else (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and it lies wholly on one side of zero."""
        return self.low is not None and (self.low > 0 or self.high < 0)


def estimate(values: np.ndarray, level: float = LEVEL, resamples: int = RESAMPLES) -> Estimate:
    """Mean over seeds of the seed's mean over its defined scenes, with its interval.

    values [S, K]. A seed or a scene without any value is left out; with fewer than two seeds
    there is no interval. Raises ValueError when nothing is defined.
    """
    values = drop_empty(np.asarray(values, dtype=np.float64))
    if values.size == 0:
        raise ValueError("no defined value")
    seeds, scenes = values.shape
    missing = int(np.isnan(values).sum())
    mean = float(np.nanmean(values, axis=1).mean())
    if seeds < 2:
        return Estimate(mean, None, None, seeds, scenes, missing)
    t_low, t_high = t_interval(values, level)
    b_low, b_high = bootstrap_interval(values, level, resamples)
    return Estimate(mean, min(t_low, b_low), max(t_high, b_high), seeds, scenes, missing)


def drop_empty(values: np.ndarray) -> np.ndarray:
    """Remove the seeds (rows) and then the scenes (columns) that hold no value at all."""
    values = values[~np.isnan(values).all(axis=1)]
    return values[:, ~np.isnan(values).all(axis=0)]


def t_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """t interval over seeds and scenes; see the module text. values [S >= 2, K].

    With one scene the scene term is absent and this is Student's interval over seeds.
    """
    seed_means = np.nanmean(values, axis=1)
    mean = float(seed_means.mean())
    squared = _squared_half_width(seed_means, level)
    if values.shape[1] > 1:
        squared += _squared_half_width(np.nanmean(values, axis=0), level)
    half = float(np.sqrt(squared))
    return mean - half, mean + half


def _squared_half_width(means: np.ndarray, level: float) -> float:
    """Squared half width of Student's interval for the mean of independent values."""
    quantile = stats.t.ppf(0.5 + level / 2, len(means) - 1)
    return float(quantile**2 * means.var(ddof=1) / len(means))


def bootstrap_interval(
    values: np.ndarray, level: float = LEVEL, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile interval of the two-way bootstrap of seeds and scenes. values [S, K]."""
    replicates = bootstrap_means(values, resamples)
    low, high = np.nanquantile(replicates, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def bootstrap_means(values: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """The bootstrapped means [resamples]; a resample without any value is NaN."""
    seeds, scenes = values.shape
    seed_counts, scene_counts = _resampling_counts(seeds, scenes, resamples)
    defined = ~np.isnan(values)
    centre = np.nanmean(values)  # taken out, so that single precision is ample
    filled = np.where(defined, values - centre, 0.0).astype(np.float32)
    means = np.empty(resamples)
    for start in range(0, resamples, CHUNK):
        part = slice(start, start + CHUNK)
        weights = scene_counts[:, part].astype(np.float32)  # [K, chunk]
        totals = filled @ weights  # [S, chunk]
        amounts = np.float32(scenes) if defined.all() else defined.astype(np.float32) @ weights
        means[part] = _weighted_seed_mean(totals, amounts, seed_counts[:, part])
    return means + centre


def _weighted_seed_mean(
    totals: np.ndarray, amounts: np.ndarray | np.float32, counts: np.ndarray
) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        seed_means = totals / amounts  # [S, chunk], NaN where a seed has no scene left
        usable = np.isfinite(seed_means)
        weights = counts * usable
        return (weights * np.where(usable, seed_means, 0.0)).sum(axis=0) / weights.sum(axis=0)


@lru_cache(maxsize=8)
def _resampling_counts(seeds: int, scenes: int, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each seed [S, resamples] and scene [K, resamples] is drawn, for every metric."""
    rng = np.random.default_rng([BOOTSTRAP_SEED, seeds, scenes])
    return _counts(rng, seeds, resamples), _counts(rng, scenes, resamples)


def _counts(rng: np.random.Generator, size: int, resamples: int) -> np.ndarray:
    """Column r counts the `size` draws of resample r. A million draws are made at a time."""
    counts = np.empty((size, resamples), dtype=np.uint16)
    step = max(1, 1_000_000 // size)
    for start in range(0, resamples, step):
        number = min(step, resamples - start)
        draws = rng.integers(size, size=(number, size)) + size * np.arange(number)[:, None]
        found = np.bincount(draws.ravel(), minlength=number * size).reshape(number, size)
        counts[:, start : start + number] = found.T
    return counts
