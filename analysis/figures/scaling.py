"""A metric against the number of unlabelled clips: points, fitted curves, yardsticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.fits import Fit
from analysis.metrics import heading
from analysis.records import Records
from analysis.scaling import ScalingCurve
from analysis.style import (
    BAND,
    CURVE_STYLE,
    PAGE_WIDTH,
    ZERO,
    ArmStyle,
    arm_styles,
    figure_style,
    legend_below,
    panel_grid,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEYOND = 4.0  # a chosen fit is drawn up to so many times the largest count
FIT_POINTS = 120
FIT_LINES = {"flat": (0, (1, 2)), "log-linear": (0, (3, 1.5)), "power law": (0, (5, 1.5, 1, 1.5))}
MARK_LINES = (
    (0, (7, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)), "-",
)  # fmt: skip
FIT_COLOUR = "#333333"


def scaling_figure(
    records: Records, curves: Sequence[ScalingCurve], width: float = PAGE_WIDTH
) -> Figure:
    """Metric against unlabelled clips on a log axis that includes 0; yardsticks as bands.

    All fitted shapes: the chosen one solid, with its band, dashed where it extrapolates; the
    others thin.
    """
    drawn = [(c, c.points, c.yardsticks, heading(c.metric), c.fits) for c in curves]
    return _grid(records, drawn, width)


def gain_figure(
    records: Records, curves: Sequence[ScalingCurve], width: float = PAGE_WIDTH
) -> Figure:
    """The same as paired differences to the smallest count: what seeds and scenes share cancels."""
    drawn = [(c, c.gains, c.yardstick_gains, heading(c.metric), ()) for c in curves]
    return _grid(records, drawn, width, zero=True)


def _grid(records: Records, drawn: Sequence[tuple], width: float, zero: bool = False) -> Figure:
    styles = arm_styles(records.plan)
    with figure_style():
        most = 2 if len(drawn) in (2, 4) else 4 if len(drawn) % 4 == 0 else 3
        figure, axes = panel_grid(len(drawn), width, 2.1, most=most, extra=0.45)
        for ax, (curve, points, yardsticks, title, fits) in zip(axes, drawn):
            if zero:
                ax.axhline(0.0, **ZERO)
            _yardsticks(ax, yardsticks, styles)
            _points(ax, points)
            _fits(ax, fits)
            _count_axis(ax, points["count"].to_numpy(dtype=float), bool(fits))
            if most == 4 and width >= PAGE_WIDTH:
                ax.tick_params(axis="x", labelsize=6, labelrotation=45)
            ax.set_xlabel("unlabelled clips")
            ax.set_title(f"{curve.benchmark}: {title}")
        if zero:
            figure.suptitle("Paired difference to the smallest count")
        legend_below(figure, width)
    return figure


def _yardsticks(ax: Axes, yardsticks: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    for i, mark in enumerate(yardsticks.itertuples()):
        colour, line = styles[mark.arm].colour, MARK_LINES[i % len(MARK_LINES)]
        ax.axhline(mark.mean, color=colour, lw=1.3, ls=line, label=mark.arm, zorder=1)
        if mark.low is not None:
            ax.axhspan(mark.low, mark.high, color=colour, alpha=BAND / 1.5, lw=0, zorder=0)


def _points(ax: Axes, points: pd.DataFrame) -> None:
    if points.empty:
        return
    x, mean = points["count"].to_numpy(dtype=float), points["mean"].to_numpy(dtype=float)
    low, high = (
        np.array([m if v is None else v for v, m in zip(points[side], mean)], dtype=float)
        for side in ("low", "high")
    )
    ax.errorbar(
        x, mean, [mean - low, high - mean], fmt=CURVE_STYLE.marker, color=CURVE_STYLE.colour,
        ms=4, lw=1.2, label="with unlabelled clips, 95 %", zorder=4,
    )  # fmt: skip


def _fits(ax: Axes, fits: Sequence[Fit]) -> None:
    """The chosen fit solid with its band, dashed beyond the data; the others thin."""
    for i, fit in enumerate(fits):
        largest = float(fit.points.counts[-1])
        x = _spread(fit.points.counts, largest * (BEYOND if i == 0 else 1.0))
        curve = fit.at(x)
        if i:
            ax.plot(x, curve.mean, color=FIT_COLOUR, lw=0.7, ls=FIT_LINES[fit.shape],
                    label=f"{fit.shape} fit", zorder=2)  # fmt: skip
            continue
        inside, beyond = x <= largest, x >= largest
        ax.plot(x[inside], curve.mean[inside], color=CURVE_STYLE.colour, lw=1.4, zorder=3,
                label="chosen fit (AICc)")  # fmt: skip
        ax.plot(x[beyond], curve.mean[beyond], color=CURVE_STYLE.colour, lw=1.4, zorder=3,
                ls=(0, (2, 1.5)), label="extrapolated")  # fmt: skip
        if curve.low is not None:
            ax.fill_between(x, curve.low, curve.high, color=CURVE_STYLE.colour, alpha=BAND, lw=0)


def _spread(counts: np.ndarray, end: float) -> np.ndarray:
    """Counts from the smallest to `end`, dense on the axis of the figure, the largest included."""
    positive = counts[counts > 0]
    start = float(positive.min()) if positive.size else 1.0
    dense = np.geomspace(start, max(end, start * 1.01), FIT_POINTS)
    below = np.linspace(float(counts.min()), start, 20) if counts.min() < start else []
    return np.unique(np.concatenate([below, dense, [float(counts.max())]]))


def _count_axis(ax: Axes, counts: np.ndarray, beyond: bool) -> None:
    """Log axis with 0 one step left of the smallest count; every count is a tick."""
    if not counts.size:
        return
    positive = counts[counts > 0]
    smallest = positive.min() if positive.size else 1.0
    ax.set_xscale("symlog", base=2, linthresh=smallest, linscale=1.0)
    ax.set_xticks(counts, [_short(count) for count in counts])
    ax.minorticks_off()
    end = counts.max() * (BEYOND if beyond else 1.25) if counts.max() > 0 else 1.0
    ax.set_xlim(-0.12 * smallest, end)


def _short(count: float) -> str:
    return f"{count / 1000:g}k" if count >= 10_000 and count % 1000 == 0 else f"{count:g}"
