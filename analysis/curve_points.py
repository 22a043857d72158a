"""The points of a scaling curve: runs at several counts of clips, and the errors of their means.

x = 1 + clips / unit is the amount of data in units of the labelled clips, so that zero unlabelled
clips are x = 1 and a point like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from analysis.crossed import TwoWay, two_way_fit
from flow3r.errors import DataError

STREAM = 20261125
POINT_NOISE, NEW_NOISE, SHIFTS, SCALES = 1, 2, 3, 4  # random streams


@dataclass(frozen=True)
class Points:
    """Run scores at several counts: counts [C] ascending, scores [S, C] with NaN for no run."""

    counts: np.ndarray
    scores: np.ndarray
    unit: float

    def __post_init__(self) -> None:
        if len(self.counts) != self.scores.shape[1] or (np.diff(self.counts) <= 0).any():
            raise DataError(f"counts={self.counts}: one ascending count per column of scores")
        if not self.unit > 0:
            raise DataError(f"unit={self.unit}: clips per unit of data must be above zero")
        empty = np.isnan(self.scores).all(0)
        if empty.any():
            raise DataError(f"no run at {self.counts[empty].tolist()} clips: leave the count out")
        if np.isnan(self.scores).all(1).any():
            raise DataError("a seed has no run at any count: leave the seed out")

    @cached_property
    def amounts(self) -> np.ndarray:
        """x [C] of the module text."""
        return amount(self.counts, self.unit)

    @cached_property
    def runs(self) -> np.ndarray:
        """Runs per count [C]."""
        return (~np.isnan(self.scores)).sum(0)

    @cached_property
    def two_way(self) -> TwoWay:
        """Seed and count effects; the columns are the curve's points, adjusted for the seeds."""
        return two_way_fit(self.scores)

    def without_last(self) -> Points:
        """All but the largest count."""
        kept = self.scores[:, :-1]
        return Points(self.counts[:-1], kept[~np.isnan(kept).all(1)], self.unit)


def amount(counts: np.ndarray, unit: float) -> np.ndarray:
    """x = 1 + counts / unit."""
    return 1.0 + np.asarray(counts, dtype=float) / unit


def run_noise(points: Points, shape: tuple[int, int], runs: np.ndarray, stream: int) -> np.ndarray:
    """Errors of points that are means of `runs` runs, drawn anew: shape [B, C].

    Resampled run residuals (after seed and count effects), scaled up for the degrees of freedom
    that they lost, and by a random factor for not knowing their size: heavier tails, as in
    Student's t. Needs points.two_way.df >= 1.
    """
    rng = np.random.default_rng([STREAM, stream])
    residuals, df = points.two_way.residuals[~np.isnan(points.scores)], points.two_way.df
    pool = residuals * np.sqrt(len(residuals) / df)
    most = int(runs.max())
    drawn = pool[rng.integers(len(pool), size=(*shape, most))]
    means = (drawn * (np.arange(most) < runs[:, None])).sum(-1) / runs
    squares = np.random.default_rng([STREAM, SCALES]).chisquare(df, size=(shape[0], 1))
    return means * np.sqrt(df / squares)


def common_shifts(points: Points, resamples: int) -> np.ndarray:
    """What the mean of the seeds may be off [B]: Student's t with the seeds' spread.

    Evenly spaced quantiles in random order, so that its tails are exact.
    """
    seeds = points.two_way.rows
    rng = np.random.default_rng([STREAM, SHIFTS])
    quantiles = (rng.permutation(resamples) + 0.5) / resamples
    error = seeds.std(ddof=1) / np.sqrt(len(seeds))
    return error * stats.t.ppf(quantiles, len(seeds) - 1)
