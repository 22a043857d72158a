"""The alignments of predicted to true depth that published evaluations use.

All take positive predictions `p` and true depths `g`, [K] each, K >= 1, and return (scale, shift).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SCALE_ITERATIONS = 10
SCALE_FLOOR = 1e-3
_RESIDUAL_FLOOR = 1e-8
_BISECTIONS = 60
_TOLERANCE = 1e-9
"""Of the scale, relative to the starting one."""
_DOUBLINGS = 60
_SAMPLE = 500_000
"""Pixels of the first guess (evenly taken), and of the published steps."""
_STEPS, _RATE, _DECAY, _EPSILON = 1000, 1e-4, (0.9, 0.999), 1e-8
"""Of Adam."""


def scale_and_shift(p: np.ndarray, g: np.ndarray) -> tuple[float, float]:
    """The scale and shift that minimise sum |s p + t - g|.

    Exact, where `published_scale_and_shift` is on the way: for a scale the best shift is the
    median of g - s p, what is left is convex in the scale, and the sign of its slope is bisected.
    """
    start, step = median_ratio(p, g)[0], 0.01
    if p.min() == p.max():
        return start, float(np.median(g - start * p))
    if len(p) > 2 * _SAMPLE:
        start, step = scale_and_shift(_thinned(p), _thinned(g))[0], 1e-4
    low, high = _bracket(p, g, start, step * max(abs(start), _RESIDUAL_FLOOR))
    for _ in range(_BISECTIONS):
        if high - low <= _TOLERANCE * abs(start):
            break
        middle = (low + high) / 2.0
        low, high = (low, middle) if _slope(p, g, middle) > 0 else (middle, high)
    candidates = [_with_shift(p, g, scale) for scale in (low, (low + high) / 2.0, high)]
    return min(candidates, key=lambda found: _absolute_error(p, g, *found))


def published_scale_and_shift(p: np.ndarray, g: np.ndarray) -> tuple[float, float]:
    """What the published evaluations compute for the same objective: 1000 steps of Adam.

    From the ratio of the medians and shift 0, rate 1e-4: neither moves by much more than 0.1, so
    the result depends on the predictions' own scale and lies near median scaling. For comparing
    with published figures. The gradient is that of evenly taken pixels (500,000 of a sequence of
    tens of millions); Adam does not see its length.
    """
    p, g = _thinned(p), _thinned(g)
    line = np.array([median_ratio(p, g)[0], 0.0])
    first, second = np.zeros(2), np.zeros(2)
    for step in range(1, _STEPS + 1):
        sign = np.sign(line[0] * p + line[1] - g)
        gradient = np.array([sign @ p, sign.sum()])
        first = _DECAY[0] * first + (1.0 - _DECAY[0]) * gradient
        second = _DECAY[1] * second + (1.0 - _DECAY[1]) * gradient**2
        root = np.sqrt(second / (1.0 - _DECAY[1] ** step)) + _EPSILON
        line = line - _RATE * first / (1.0 - _DECAY[0] ** step) / root
    return float(line[0]), float(line[1])


def robust_scale(p: np.ndarray, g: np.ndarray) -> tuple[float, float]:
    """The scale after 10 rounds of reweighted least squares for sum |s p - g|; no shift.

    Starts at the ratio of the means, weights 1 / (|residual| + 1e-8), at least 1e-3.
    """
    scale = float(g.mean() / p.mean())
    for _ in range(SCALE_ITERATIONS):
        weight = 1.0 / (np.abs(scale * p - g) + _RESIDUAL_FLOOR)
        scale = float((weight * p * g).sum() / (weight * p * p).sum())
    return max(scale, SCALE_FLOOR), 0.0


def median_ratio(p: np.ndarray, g: np.ndarray) -> tuple[float, float]:
    """The ratio of the medians; no shift."""
    return float(np.median(g) / np.median(p)), 0.0


def no_alignment(p: np.ndarray, g: np.ndarray) -> tuple[float, float]:
    """Predictions in metres stay as they are."""
    return 1.0, 0.0


ALIGNMENTS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[float, float]]] = {
    "scale_shift": scale_and_shift,
    "scale_shift_published": published_scale_and_shift,
    "scale": robust_scale,
    "median": median_ratio,
    "metric": no_alignment,
}
"""By the name in `DepthRules.alignment`."""


def _thinned(values: np.ndarray) -> np.ndarray:
    return values[:: max(1, len(values) // _SAMPLE)]


def _bracket(p: np.ndarray, g: np.ndarray, start: float, step: float) -> tuple[float, float]:
    """Scales below and above the optimum (it may be negative)."""
    rising = _slope(p, g, start) > 0
    near = start
    for _ in range(_DOUBLINGS):
        far = near - step if rising else near + step
        if (_slope(p, g, far) > 0) != rising:
            break
        near, step = far, 2.0 * step
    return (far, near) if rising else (near, far)


def _slope(p: np.ndarray, g: np.ndarray, scale: float) -> float:
    """A slope of the error at the best shift of this scale."""
    residual = scale * p - g
    residual -= np.median(residual)
    sign = np.sign(residual)
    # The shift is optimal where the signs can be made to add up to 0; those of exact fits are free.
    exact = sign == 0
    count = int(exact.sum())
    if count:
        sign[exact] = np.clip(-sign.sum() / count, -1.0, 1.0)
    return float((sign * p).sum())


def _with_shift(p: np.ndarray, g: np.ndarray, scale: float) -> tuple[float, float]:
    return scale, float(np.median(g - scale * p))


def _absolute_error(p: np.ndarray, g: np.ndarray, scale: float, shift: float) -> float:
    return float(np.abs(scale * p + shift - g).sum())
