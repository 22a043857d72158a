"""Curves through a metric at several amounts of data: which shape, how sure, and what lies beyond.

x = 1 + clips / unit, the training data in units of the labelled clips, so that zero unlabelled
clips are x = 1 and a point like any other. Three shapes:
    flat          y = level
    log-linear    y = level + slope log2(x)
    power law     y = limit + gain x^-exponent      (limit: what no amount of data removes)
The power law is fitted by variable projection: for each exponent of a grid, limit and gain by
weighted least squares; no iteration that could stop early, and the exponent between two grid
points by a parabola. Shapes are compared by AICc (Hurvich & Tsai 1989) over the runs, with the
seeds as blocks in every one of them, since the arms share their seeds.

Intervals: whole runs are drawn again, 2,000 times: the fitted curve plus run residuals (pure
error, after seed and count effects), scaled up for the degrees of freedom that they lost and by a
random factor for not knowing their size; a shift common to all counts, as uncertain as the mean of
the seeds, enters what is about levels and not what is about the shape. They hold for the test
scenes used, and if the shape is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.crossed import TwoWay, two_way_fit
from flow3r.errors import DataError

EXPONENTS = np.geomspace(0.03, 4.0, 120)
RESAMPLES = 2_000
STREAM = 20261125
POINT_NOISE, NEW_NOISE, SHIFTS, SCALES = 1, 2, 3, 4  # random streams
SHAPES = ("flat", "log-linear", "power law")
PARAMETERS = {
    "flat": ("level",),
    "log-linear": ("level", "slope"),
    "power law": ("limit", "gain", "exponent"),
}


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


@dataclass(frozen=True)
class Curve:
    """Predicted metric at `counts`, with the interval of the mean curve (None with one seed)."""

    counts: np.ndarray
    mean: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    extrapolated: np.ndarray  # beyond the largest count measured


@dataclass(frozen=True)
class Fit:
    """One shape fitted to the points.

    parameters: by PARAMETERS; intervals: of each, or None with one seed; aicc: infinite where
    there are too few points for the shape. identified: false where the exponent lies at the edge
    of what is tried in more than 1 in 20 resamples, so that its interval is not one.
    """

    shape: str
    points: Points
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]] | None
    aicc: float
    identified: bool
    resampled: np.ndarray | None  # [B, parameters]
    shifts: np.ndarray | None  # [B], common to all counts
    level: float

    def at(self, counts: np.ndarray) -> Curve:
        """The curve at any counts."""
        counts = np.asarray(counts, dtype=float)
        x = amount(counts, self.points.unit)
        mean = evaluate(self.shape, np.array(list(self.parameters.values())), x)
        beyond = counts > self.points.counts[-1]
        if self.resampled is None:
            return Curve(counts, mean, None, None, beyond)
        drawn = evaluate(self.shape, self.resampled, x) + self.shifts[:, None]
        low, high = np.quantile(drawn, _tails(self.level), axis=0)
        return Curve(counts, mean, low, high, beyond)


@dataclass(frozen=True)
class HeldOut:
    """The largest count predicted from the smaller ones by one shape; intervals None: one seed."""

    shape: str
    count: float
    predicted: float
    low: float | None
    high: float | None
    measured: float

    @property
    def inside(self) -> bool | None:
        """Whether the measured mean lies in the prediction interval."""
        return None if self.low is None else self.low <= self.measured <= self.high


def amount(counts: np.ndarray, unit: float) -> np.ndarray:
    """x = 1 + counts / unit."""
    return 1.0 + np.asarray(counts, dtype=float) / unit


def evaluate(shape: str, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The shape with parameters [..., P] at x [X]: [..., X]."""
    level = parameters[..., :1]
    if shape == "flat":
        return level + np.zeros_like(x)
    if shape == "log-linear":
        return level + parameters[..., 1:2] * np.log2(x)
    return level + parameters[..., 1:2] * x ** -parameters[..., 2:3]


def fit_all(points: Points, level: float = 0.95, resamples: int = RESAMPLES) -> list[Fit]:
    """Every shape that the number of counts allows, the best by AICc first.

    DataError with fewer than two counts. The power law needs four.
    """
    counts = len(points.counts)
    if counts < 2:
        raise DataError(f"{counts} count with runs: a curve needs at least two")
    fitted = [
        fit(shape, points, level, resamples)
        for shape in SHAPES
        if counts > len(PARAMETERS[shape]) or shape == "log-linear"
    ]
    return sorted(fitted, key=lambda found: found.aicc)


def fit(shape: str, points: Points, level: float = 0.95, resamples: int = RESAMPLES) -> Fit:
    """One shape with its intervals."""
    x, weights, means = points.amounts, points.runs, points.two_way.columns
    best = solve(shape, x, weights, means[None])[0]
    curve = evaluate(shape, best, x)
    drawn = shifts = intervals = None
    identified = True
    noise = _run_noise(points, resamples)
    if noise is not None:
        drawn = solve(shape, x, weights, curve + noise)
        shifts = _common_shifts(points, resamples)
        names = PARAMETERS[shape]
        shown = drawn + np.eye(len(names))[0] * shifts[:, None]  # the first is a level
        ends = np.quantile(shown, _tails(level), axis=0).T
        intervals = {name: (float(low), float(high)) for name, (low, high) in zip(names, ends)}
        if shape == "power law":
            edge = (drawn[:, 2] <= EXPONENTS[0] * 1.01) | (drawn[:, 2] >= EXPONENTS[-1] * 0.99)
            identified = bool(edge.mean() <= 0.05)
    parameters = dict(zip(PARAMETERS[shape], map(float, best)))
    score = _aicc(points, curve, len(best))
    return Fit(shape, points, parameters, intervals, score, identified, drawn, shifts, level)


def held_out(points: Points, level: float = 0.95, resamples: int = RESAMPLES) -> list[HeldOut]:
    """Each shape's prediction of the largest count from the smaller ones, best by AICc first."""
    smaller = points.without_last()
    x = amount(points.counts[-1:], points.unit)
    measured, runs = float(points.two_way.columns[-1]), int(points.runs[-1])
    found = []
    for each in fit_all(smaller, level, resamples):
        predicted = float(evaluate(each.shape, np.array(list(each.parameters.values())), x)[0])
        low = high = None
        if each.resampled is not None:
            noise = _draws(smaller, (resamples, 1), np.array([runs]), NEW_NOISE)
            drawn = evaluate(each.shape, each.resampled, x) + noise
            low, high = map(float, np.quantile(drawn, _tails(level)))
        count = float(points.counts[-1])
        found.append(HeldOut(each.shape, count, predicted, low, high, measured))
    return found


def solve(shape: str, x: np.ndarray, weights: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Weighted least squares of means [B, C] at x [C]: parameters [B, P]."""
    if shape == "flat":
        return (means @ weights / weights.sum())[:, None]
    if shape == "log-linear":
        return np.stack(_line(np.log2(x), weights, means), axis=-1)
    return _power_law(x, weights, means)


def _power_law(x: np.ndarray, weights: np.ndarray, means: np.ndarray) -> np.ndarray:
    bases = x ** -EXPONENTS[:, None]  # [G, C]
    centred = bases - (bases @ weights / weights.sum())[:, None]
    directions = centred * weights / np.sqrt((centred**2) @ weights)[:, None]
    losses = -((means @ directions.T) ** 2)  # [B, G], squared error less that of the flat shape
    best = losses.argmin(-1)
    inner = np.clip(best, 1, len(EXPONENTS) - 2)
    rows = np.arange(len(means))
    left, middle, right = (losses[rows, inner + i] for i in (-1, 0, 1))
    curvature = left - 2 * middle + right
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = np.where(curvature > 0, (left - right) / (2 * curvature), 0.0)
    step = np.log(EXPONENTS[1] / EXPONENTS[0])
    refined = EXPONENTS[inner] * np.exp(step * np.clip(offset, -1, 1))
    exponent = np.where(best == inner, refined, EXPONENTS[best])
    limit, gain = _line(x ** -exponent[:, None], weights, means)
    return np.stack([limit, gain, exponent], axis=-1)


def _line(
    basis: np.ndarray, weights: np.ndarray, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope [B] of means [B, C] on a basis [C] or [B, C], by weighted squares."""
    shares = weights / weights.sum()
    centred = basis - (basis @ shares)[..., None]
    slope = ((means * centred) @ shares) / ((centred**2) @ shares)
    return means @ shares - slope * (basis @ shares), slope


def _aicc(points: Points, curve: np.ndarray, shape_parameters: int) -> float:
    """Over the runs: seeds as blocks, and the variance, are parameters of every shape."""
    runs = int(points.runs.sum())
    parameters = shape_parameters + (len(points.scores) - 1) + 1
    if runs - parameters - 1 <= 0:
        return np.inf
    misfit = points.runs @ (points.two_way.columns - curve) ** 2
    error = (points.two_way.residuals**2).sum() + misfit
    if error <= 0:
        return -np.inf
    penalty = 2 * parameters * runs / (runs - parameters - 1)
    return float(runs * np.log(error / runs) + penalty)


def _run_noise(points: Points, resamples: int) -> np.ndarray | None:
    """Errors of the points [B, C] made of resampled run residuals; None without repeats."""
    if points.two_way.df < 1:
        return None
    return _draws(points, (resamples, len(points.counts)), points.runs, POINT_NOISE)


def _draws(points: Points, shape: tuple[int, int], runs: np.ndarray, stream: int) -> np.ndarray:
    """Means of `runs` resampled residuals [B, C], scaled for the degrees of freedom; see above."""
    rng = np.random.default_rng([STREAM, stream])
    residuals, df = points.two_way.residuals[~np.isnan(points.scores)], points.two_way.df
    pool = residuals * np.sqrt(len(residuals) / df)
    most = int(runs.max())
    drawn = pool[rng.integers(len(pool), size=(*shape, most))]
    means = (drawn * (np.arange(most) < runs[:, None])).sum(-1) / runs
    squares = np.random.default_rng([STREAM, SCALES]).chisquare(df, size=(shape[0], 1))
    return means * np.sqrt(df / squares)


def _common_shifts(points: Points, resamples: int) -> np.ndarray:
    """What the mean of the seeds may be off [B]: Student's t with the seeds' own spread."""
    fit = points.two_way
    rng = np.random.default_rng([STREAM, SHIFTS])
    noise = (fit.residuals**2).sum() / fit.df / points.runs.size  # run noise in a seed's mean
    error = np.sqrt(max(fit.rows.var(ddof=1) - noise, 0.0) / len(fit.rows))
    return error * rng.standard_t(len(fit.rows) - 1, size=resamples)


def _tails(level: float) -> list[float]:
    return [0.5 - level / 2, 0.5 + level / 2]
