"""How many unlabelled clips replace one labelled clip, from a scaling curve and a yardstick.

The yardstick has more labelled clips and no unlabelled ones (`3d-sup++`: four times the labels).
u* is the number of unlabelled clips at which the curve is as good as the yardstick, and

    worth = u* / (labels of the yardstick - labels of the curve):

so many unlabelled clips stand for one labelled clip, at this size of the labelled set.

Between two measured counts the curve is a straight line on the axis log2(1 + clips / unit). At each
u of a fine grid, curve - yardstick is a paired contrast of runs; the interval of u* holds every u
at which that contrast's 95 % interval contains zero (the test is inverted, as in Fieller 1954).
So it has the coverage of `analysis/statistics.py`, it may be open at the top ("or more"), and
nothing is extrapolated: a curve that stays below the yardstick is "not reached", with the largest
count as lower bound where even there the yardstick is ahead by its interval.

The curve at 0 is flow supervision on the labelled clips alone. If the curve is as good as the
yardstick there already, the objective did it and not the unlabelled clips, and u* can be 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.crossed import spread, terms
from analysis.statistics import LEVEL
from flow3r.errors import DataError

BETWEEN = 16  # grid steps between two measured counts


@dataclass(frozen=True)
class Margins:
    """curve - yardstick along a grid of counts [G]; low and high are None with one seed."""

    counts: np.ndarray
    mean: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


@dataclass(frozen=True)
class LabelWorth:
    """Unlabelled clips at which the curve reaches the yardstick, and per extra labelled clip.

    clips: u*, None where the curve's mean does not reach it; low, high: its interval, within
    [0, largest]; high is None where the largest count is still inside ("or more"). Both are None,
    and `excluded` is true, where every u up to the largest is excluded: not reached, by the
    interval. Without an interval at all (one seed) `known` is false. Where a curve goes up and
    down, u* is the first crossing and the interval spans all that are possible.
    """

    yardstick: str
    extra_labels: int
    largest: float
    clips: float | None
    low: float | None
    high: float | None
    excluded: bool
    known: bool

    @property
    def worth(self) -> float | None:
        """Unlabelled clips for one labelled clip; None where the yardstick is not reached."""
        return None if self.clips is None else self.clips / self.extra_labels

    @property
    def interval(self) -> tuple[float, float | None] | None:
        """Of `worth`: (low, high), high None for "or more"; None where there is none."""
        if self.excluded:
            return self.largest / self.extra_labels, None
        if self.low is None:
            return None
        high = None if self.high is None else self.high / self.extra_labels
        return self.low / self.extra_labels, high


def along_curve(
    counts: np.ndarray, curve: np.ndarray, target: np.ndarray, unit: float, level: float = LEVEL
) -> Margins:
    """curve - target along a grid of counts, paired, with intervals.

    counts [C] ascending; curve [C, S, K] and target [S, K], higher is better, shared seeds and
    scenes. A scene without a value in some run is left out.
    """
    if len(counts) != len(curve) or len(counts) < 2 or (np.diff(counts) <= 0).any():
        raise DataError(f"counts={list(counts)}: at least two, ascending, one per point")
    shared = ~np.isnan(curve - target).any(axis=(0, 1))
    if not shared.any():
        raise DataError("no scene has a value in every run of the curve and of the yardstick")
    grid, weights = interpolation(counts, unit)
    contrasts = np.einsum("gc,csk->gsk", weights, (curve - target)[..., shared])
    found = terms(contrasts)
    if contrasts.shape[1] < 2:
        return Margins(grid, found.mean, None, None)
    half = spread(found).half_width(level)
    return Margins(grid, found.mean, found.mean - half, found.mean + half)


def interpolation(counts: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """The grid of counts [G], and how each is made of the measured ones, weights [G, C]."""
    x = np.log2(1.0 + np.asarray(counts, dtype=float) / unit)
    steps = np.linspace(0, len(x) - 1, BETWEEN * (len(x) - 1) + 1)
    weights = np.maximum(1.0 - np.abs(steps[:, None] - np.arange(len(x))), 0.0)
    grid = unit * (2.0 ** (weights @ x) - 1.0)
    exact = steps == np.round(steps)
    grid[exact] = counts
    return grid, weights


def crossing(margins: Margins, yardstick: str, extra_labels: int) -> LabelWorth:
    """u* and its interval from the curve's margin over the yardstick."""
    if extra_labels < 1:
        raise DataError(f"{yardstick}: {extra_labels} more labelled clips than the curve, not 1+")
    grid, largest = margins.counts, float(margins.counts[-1])
    clips = _first(grid, margins.mean)
    if margins.low is None:
        return LabelWorth(yardstick, extra_labels, largest, clips, None, None, False, False)
    low = _first(grid, margins.high)
    excluded = low is None
    high = None if excluded else _last(grid, margins.low)
    return LabelWorth(yardstick, extra_labels, largest, clips, low, high, excluded, True)


def _first(grid: np.ndarray, margin: np.ndarray) -> float | None:
    """The first count at which the margin is not below zero; None if there is none."""
    reached = np.flatnonzero(margin >= 0)
    if not reached.size:
        return None
    return float(grid[0]) if reached[0] == 0 else _root(grid, margin, reached[0])


def _last(grid: np.ndarray, margin: np.ndarray) -> float | None:
    """The count after which the margin stays above zero; None if it never does."""
    open_ = np.flatnonzero(margin <= 0)
    if not open_.size:
        return float(grid[0])
    return None if open_[-1] == len(grid) - 1 else _root(grid, margin, open_[-1] + 1)


def _root(grid: np.ndarray, margin: np.ndarray, after: int) -> float:
    share = -margin[after - 1] / (margin[after] - margin[after - 1])
    return float(grid[after - 1] + share * (grid[after] - grid[after - 1]))
