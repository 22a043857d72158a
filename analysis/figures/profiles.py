"""Whole distributions: performance profiles, and how often an arm beats the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.crossed import spread, terms
from analysis.effects import probability_of_improvement, profile
from analysis.figures.differences import ROW, baselines, forest_axes
from analysis.metrics import heading, improvement, metric
from analysis.plan import INITIALISATION
from analysis.records import Records, score_matrices
from analysis.statistics import LEVEL, Estimate
from analysis.style import (
    BAND,
    PAGE_WIDTH,
    ZERO,
    ArmStyle,
    arm_styles,
    figure_style,
    legend_below,
    new_figure,
    panel_title,
    plain_log_axis,
    stacked_pairs,
)
from analysis.summary import scored_arms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THRESHOLDS = 60
MARKS = 6  # markers along a curve


def profile_figure(
    records: Records, benchmark: str, metrics: Sequence[str], width: float = PAGE_WIDTH
) -> Figure | None:
    """Share of runs and scenes that do better than a threshold, against the threshold; below it,
    by how much the share of each arm exceeds the baseline's on the same seeds and scenes.

    None where no arm has any of the metrics.
    """
    shown = [name for name in metrics if _scores(records, benchmark, name)]
    if not shown:
        return None
    with figure_style():
        figure, pairs = stacked_pairs(len(shown), width, 4.2)
        for (top, bottom), name in zip(pairs, shown):
            scores = _scores(records, benchmark, name)
            thresholds = _thresholds(list(scores.values()))
            _draw_profiles(top, records, name, scores, thresholds)
            _draw_excess(bottom, records, benchmark, name, thresholds)
            top.set_title(f"{benchmark}: {heading(name)}")
            bottom.set_xlabel(f"threshold on {metric(name).label}")
            top.set_ylabel("share better")
            bottom.set_ylabel("share − baseline's")
            if thresholds[0] > 0 and improvement(name, 1.0) < 0:
                for ax in (top, bottom):
                    ax.set_xscale("log")
                    plain_log_axis(ax.xaxis)
            top.tick_params(labelbottom=False)
        legend_below(figure, width)
    return figure


def improvement_figure(
    records: Records, benchmarks: Sequence[str], name: str, width: float = PAGE_WIDTH
) -> Figure | None:
    """Probability that a run of an arm beats a run of the baseline on a scene, with its interval.

    None where no arm shares two seeds with the baseline.
    """
    styles = arm_styles(records.plan)
    pairs = {a: other for a, other in baselines(records).items() if a != INITIALISATION}
    found = {
        (benchmark, arm): _beats(records, arm, other, benchmark, name)
        for benchmark in benchmarks
        for arm, other in pairs.items()
    }
    found = {place: value for place, value in found.items() if value is not None}
    if not found:
        return None
    columns = len(benchmarks)
    with figure_style():
        figure, axes = new_figure(1, columns, 0.95 + ROW * len(pairs), width, sharey=True)
        for ax, benchmark in zip(axes[0], benchmarks):
            for y, arm in enumerate(pairs):
                if (benchmark, arm) in found:
                    _draw_probability(ax, found[benchmark, arm], y, styles[arm])
            forest_axes(ax, list(pairs), centre=0.5)
            ax.set_title(panel_title(benchmark, heading(name), width))
            ax.set_xlabel("P(better than the baseline)", fontsize=7)
    return figure


def _scores(records: Records, benchmark: str, name: str) -> dict[str, np.ndarray]:
    """Arm -> [S, K] of the arms that have the metric."""
    arms = [arm for arm in scored_arms(records) if arm != INITIALISATION]
    found = {arm: score_matrices(records, [arm], benchmark, name)[0][0] for arm in arms}
    return {arm: values for arm, values in found.items() if np.isfinite(values).any()}


def _thresholds(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Evenly spaced where the scores lie; on a log scale for positive, skewed ones."""
    values = np.concatenate([s[np.isfinite(s)] for s in scores])
    low, high = np.quantile(values, [0.005, 0.995])
    if low > 0 and high / low > 10:
        return np.geomspace(low, high, THRESHOLDS)
    return np.linspace(low, high, THRESHOLDS)


def _draw_profiles(
    ax: Axes,
    records: Records,
    name: str,
    scores: dict[str, np.ndarray],
    thresholds: np.ndarray,
) -> None:
    sign, styles = improvement(name, 1.0), arm_styles(records.plan)
    for i, (arm, values) in enumerate(scores.items()):
        found = profile(sign * values, sign * thresholds)
        if found.low is not None:
            ax.fill_between(
                thresholds, found.low, found.high, color=styles[arm].colour, alpha=BAND / 2, lw=0
            )
        _line(ax, thresholds, found.share, styles[arm], i, arm)
    ax.set_ylim(0, 1)


def _draw_excess(
    ax: Axes, records: Records, benchmark: str, name: str, thresholds: np.ndarray
) -> None:
    """A band for the headline's arm only: with all arms they could not be told apart."""
    sign, styles, asked = improvement(name, 1.0), arm_styles(records.plan), records.plan.headline
    ax.axhline(0.0, **ZERO)
    against = baselines(records)
    for i, arm in enumerate(_scores(records, benchmark, name)):
        if arm not in against:
            continue
        values, seeds, _ = score_matrices(records, [arm, against[arm]], benchmark, name)
        values = values[..., ~np.isnan(values).any(axis=(0, 1))]  # scenes that every run has
        if not values.size:
            continue
        above = sign * values[:, None] > (sign * thresholds)[None, :, None, None]
        excess = above[0].astype(float) - above[1]  # [T, S, K]
        if arm == asked.arm and len(seeds) > 1:
            found = terms(excess)
            half = spread(found).half_width(LEVEL)
            ax.fill_between(
                thresholds, found.mean - half, found.mean + half, color=styles[arm].colour,
                alpha=BAND, lw=0,
            )  # fmt: skip
        _line(ax, thresholds, excess.mean(axis=(1, 2)), styles[arm], i)


def _line(
    ax: Axes, x: np.ndarray, y: np.ndarray, style: ArmStyle, place: int, label: str = "_"
) -> None:
    """A curve with a few markers, at places of its own for each arm."""
    step = THRESHOLDS // MARKS
    ax.plot(
        x, y, color=style.colour, ls=style.line, lw=1.1, marker=style.marker, ms=3.5,
        markevery=((2 * place) % step, step), label=label,
    )  # fmt: skip


def _beats(records: Records, arm: str, baseline: str, benchmark: str, name: str) -> Estimate | None:
    values, seeds, _ = score_matrices(records, [arm, baseline], benchmark, name)
    if len(seeds) < 2 or not np.isfinite(values).all(axis=(0, 1)).any():
        return None
    sign = improvement(name, 1.0)
    return probability_of_improvement(sign * values[0], sign * values[1])


def _draw_probability(ax: Axes, found: Estimate, y: int, style: ArmStyle) -> None:
    decided = found.low is not None and not found.low <= 0.5 <= found.high
    if found.low is not None:
        ax.plot([found.low, found.high], [y, y], color=style.colour, lw=1.6, zorder=2)
    face = style.colour if decided else "white"
    ax.plot(found.mean, y, style.marker, color=style.colour, mfc=face, ms=5, mew=1.2, zorder=3)
