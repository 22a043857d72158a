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
random factor for not knowing their size. What all counts have in common is drawn apart from it, as
uncertain as the mean of the seeds, and enters what is about levels and not what is about the shape.
The intervals hold for the test scenes used, and if the shape is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.curve_points import (
    NEW_NOISE,
    POINT_NOISE,
    Points,
    amount,
    common_shifts,
    run_noise,
)
from flow3r.errors import DataError

EXPONENTS = np.geomspace(0.03, 4.0, 120)
RESAMPLES = 2_000
SHAPES = ("flat", "log-linear", "power law")
PARAMETERS = {
    "flat": ("level",),
    "log-linear": ("level", "slope"),
    "power law": ("limit", "gain", "exponent"),
}


@dataclass(frozen=True)
class Curve:
    """Predicted metric at `counts`, with the interval of the mean curve (None with one seed)."""

    counts: np.ndarray
    mean: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    extrapolated: np.ndarray  # beyond the largest count measured


@dataclass(frozen=True)
class Resampled:
    """parameters [B, P] of the shape refitted to points whose errors have mean zero over the
    counts; shifts [B]: errors of the mean over counts and seeds; noise [B]: the part of them that
    is due to the runs and not to the seeds.
    """

    parameters: np.ndarray
    shifts: np.ndarray
    noise: np.ndarray


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
    level: float
    resampled: Resampled | None

    def at(self, counts: np.ndarray) -> Curve:
        """The curve at any counts."""
        counts = np.asarray(counts, dtype=float)
        x = amount(counts, self.points.unit)
        mean = evaluate(self.shape, np.array(list(self.parameters.values())), x)
        beyond = counts > self.points.counts[-1]
        if self.resampled is None:
            return Curve(counts, mean, None, None, beyond)
        drawn = evaluate(self.shape, self.resampled.parameters, x)
        drawn = drawn + self.resampled.shifts[:, None]
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
    means = points.two_way.columns
    best = solve(shape, points.amounts, points.runs, means[None])[0]
    curve = evaluate(shape, best, points.amounts)
    names = PARAMETERS[shape]
    drawn = _resample(shape, points, curve, resamples)
    intervals, identified = None, True
    if drawn is not None:
        shown = drawn.parameters + np.eye(len(names))[0] * drawn.shifts[:, None]  # a level is first
        ends = np.quantile(shown, _tails(level), axis=0).T
        intervals = {name: (float(low), float(high)) for name, (low, high) in zip(names, ends)}
        identified = shape != "power law" or _inside_grid(drawn.parameters[:, 2])
    parameters = dict(zip(names, map(float, best)))
    score = _aicc(points, curve, len(best))
    return Fit(shape, points, parameters, intervals, score, identified, level, drawn)


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
            noise = run_noise(smaller, (resamples, 1), np.array([runs]), NEW_NOISE)
            drawn = evaluate(each.shape, each.resampled.parameters, x) + noise
            drawn = drawn + each.resampled.noise[:, None]
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


def _resample(shape: str, points: Points, curve: np.ndarray, resamples: int) -> Resampled | None:
    """None without repeats."""
    if points.two_way.df < 1:
        return None
    noise = run_noise(points, (resamples, len(points.counts)), points.runs, POINT_NOISE)
    common = noise @ points.runs / points.runs.sum()
    drawn = solve(shape, points.amounts, points.runs, curve + noise - common[:, None])
    return Resampled(drawn, common_shifts(points, resamples), common)


def _inside_grid(exponents: np.ndarray) -> bool:
    edge = (exponents <= EXPONENTS[0] * 1.01) | (exponents >= EXPONENTS[-1] * 0.99)
    return bool(edge.mean() <= 0.05)


def _tails(level: float) -> list[float]:
    return [0.5 - level / 2, 0.5 + level / 2]
