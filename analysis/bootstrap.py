"""The two-way bootstrap of a mean: seeds and scenes are resampled, both with replacement.

Also called pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap"). Percentile, BCa (Efron
1987) and studentised intervals. With one scene, or one seed, each is the ordinary one-level
bootstrap. None of them is the report's interval: with 3 seeds there are only 10 distinct resamples
of the seeds, and all of them cover less than the t interval of `analysis/statistics.py`; they are
here to be compared with it, and for quantities that have no standard error in closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import stats

from analysis.crossed import spread, terms

BOOTSTRAP_SEED = 20261123  # any fixed number: the same records give the same interval
CHUNK = 2_000  # resamples worked on at once, so that memory stays small

Interval = tuple[float, float]


def percentile_interval(values: np.ndarray, level: float, resamples: int) -> Interval:
    """Quantiles of the bootstrapped means. values [S, K], NaN for gaps."""
    low, high = np.nanquantile(bootstrap_means(values, resamples), _tails(level))
    return float(low), float(high)


def bca_interval(values: np.ndarray, level: float, resamples: int) -> Interval:
    """Bias-corrected and accelerated; values [S, K], NaN for gaps.

    The acceleration joins the jackknife influences of the seeds and of the scenes as for several
    independent samples (Davison & Hinkley 1997, "Bootstrap Methods", eq. 5.26).
    """
    means = bootstrap_means(values, resamples)
    means = means[~np.isnan(means)]
    observed = float(np.nanmean(values, axis=1).mean())
    below = (means < observed).mean() + (means == observed).mean() / 2
    if below in (0.0, 1.0):
        return observed, observed  # every resample is the same: no spread at all
    bias = stats.norm.ppf(below)
    shifted = bias + stats.norm.ppf(_tails(level))
    levels = stats.norm.cdf(bias + shifted / (1 - _acceleration(values) * shifted))
    low, high = np.quantile(means, levels)
    return float(low), float(high)


def studentised_interval(values: np.ndarray, level: float, resamples: int) -> Interval:
    """Bootstrap t with the crossed standard error; values [S, K], complete.

    Resamples without any spread (one seed drawn S times, one scene) are left out.
    """
    observed = spread(terms(values))
    mean = float(values.mean())
    means, errors = _resampled_errors(values, resamples)
    usable = errors > 1e-9 * float(observed.se)
    if not usable.any():
        return mean, mean
    ratio = (means[usable] - mean) / errors[usable]
    high, low = np.quantile(ratio, _tails(level))
    return mean - low * float(observed.se), mean - high * float(observed.se)


def stratified_interval(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    level: float,
    resamples: int,
) -> Interval:
    """Percentile interval of rliable (Agarwal et al. 2021): runs resampled within each scene.

    values [S, K], complete; statistic: [..., S, K] -> [...]. It takes every scene's runs as runs of
    their own. Here one run is scored on all scenes, whose errors it shares, so that this interval
    is too narrow and stands beside rliable's figures only.
    """
    seeds, scenes = values.shape
    rng = np.random.default_rng([BOOTSTRAP_SEED, seeds, scenes, 1])
    found = []
    for start in range(0, resamples, CHUNK):
        size = (min(CHUNK, resamples - start), seeds, scenes)
        drawn = np.take_along_axis(values[None], rng.integers(seeds, size=size), axis=1)
        found.append(statistic(drawn))
    low, high = np.quantile(np.concatenate(found), _tails(level))
    return float(low), float(high)


def bootstrap_means(values: np.ndarray, resamples: int) -> np.ndarray:
    """The bootstrapped means [resamples]; a resample without any value is NaN."""
    seeds, scenes = values.shape
    seed_counts, scene_counts = resampling_counts(seeds, scenes, resamples)
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


@lru_cache(maxsize=8)
def resampling_counts(seeds: int, scenes: int, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each seed [S, resamples] and scene [K, resamples] is drawn, for every metric."""
    rng = np.random.default_rng([BOOTSTRAP_SEED, seeds, scenes])
    return _counts(rng, seeds, resamples), _counts(rng, scenes, resamples)


def _tails(level: float) -> list[float]:
    return [0.5 - level / 2, 0.5 + level / 2]


def _acceleration(values: np.ndarray) -> float:
    """From the influence of each seed and of each scene on the mean."""
    defined = ~np.isnan(values)
    seed_means = np.nanmean(values, axis=1)
    centred = np.where(defined, values - seed_means[:, None], 0.0) / defined.sum(1)[:, None]
    pulls = centred.mean(0) * values.shape[1]  # [K]
    influences = [seed_means - seed_means.mean(), pulls]
    cubes = sum((part**3).sum() / len(part) ** 3 for part in influences)
    squares = sum((part**2).sum() / len(part) ** 2 for part in influences)
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def _resampled_errors(values: np.ndarray, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and crossed standard error of each resample [resamples], from its weighted sums."""
    seeds, scenes = values.shape
    seed_counts, scene_counts = resampling_counts(seeds, scenes, resamples)
    centred = values - values.mean()
    means, errors = np.empty(resamples), np.empty(resamples)
    for start in range(0, resamples, CHUNK):
        rows = seed_counts[:, start : start + CHUNK].T.astype(float)  # [chunk, S]
        columns = scene_counts[:, start : start + CHUNK].T.astype(float)  # [chunk, K]
        seed_means, scene_means = columns @ centred.T / scenes, rows @ centred / seeds
        mean = (rows * seed_means).mean(1)
        seed = (rows * (seed_means - mean[:, None]) ** 2).mean(1)
        scene = (columns * (scene_means - mean[:, None]) ** 2).mean(1)
        whole = ((rows @ centred**2) * columns).sum(1) / (seeds * scenes) - mean**2
        rest = np.maximum(whole - seed - scene, 0.0)
        part = slice(start, start + len(mean))
        means[part] = mean + values.mean()
        errors[part] = _standard_error(seed, scene, rest, seeds, scenes)
    return means, errors


def _standard_error(
    seed: np.ndarray, scene: np.ndarray, rest: np.ndarray, seeds: int, scenes: int
) -> np.ndarray:
    """`crossed.spread` from the population variances of a resample."""
    seed, scene = seed / max(seeds - 1, 1), scene / max(scenes - 1, 1)
    residual = rest / max((seeds - 1) * (scenes - 1), 1)
    kept, reduced = (seed, scene) if seeds <= scenes or scenes == 1 else (scene, seed)
    if 1 in (seeds, scenes):
        return np.sqrt(seed + scene)
    return np.sqrt(kept + np.maximum(reduced - residual, 0.0))


def _weighted_seed_mean(
    totals: np.ndarray, amounts: np.ndarray | np.float32, counts: np.ndarray
) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        seed_means = totals / amounts  # [S, chunk], NaN where a seed has no scene left
        usable = np.isfinite(seed_means)
        weights = counts * usable
        return (weights * np.where(usable, seed_means, 0.0)).sum(axis=0) / weights.sum(axis=0)


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
