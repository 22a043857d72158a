"""Paired differences with their intervals, arm by arm (a forest plot)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.metrics import heading, improvement, unit_of_difference
from analysis.records import Records
from analysis.style import (
    PAGE_WIDTH,
    ZERO,
    ArmStyle,
    arm_styles,
    figure_style,
    new_figure,
    panel_title,
)
from analysis.summary import Row, Summary, excludes_zero, scored_arms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.21  # inches an arm takes
ROUNDING = 1e-9  # all differences are of equal scores: an axis of 1e-17 would magnify nothing


def forest_figure(
    records: Records,
    summary: Summary,
    metrics: Sequence[str],
    benchmarks: Sequence[str] | None = None,
    width: float = PAGE_WIDTH,
) -> Figure:
    """Paired differences of each arm to its baseline with 95 % intervals.

    A column per metric and a row per benchmark; the other way round where the page is narrow. A
    filled marker: the interval excludes zero.
    """
    benchmarks = list(benchmarks or records.benchmarks())
    pairs = baselines(records)
    grid = [[(benchmark, name) for name in metrics] for benchmark in benchmarks]
    if width < PAGE_WIDTH:
        grid = [list(row) for row in zip(*grid)]
    several = len(set(pairs.values())) > 1
    labels = [f"{arm}\n− {other}" if several else arm for arm, other in pairs.items()]
    height = 0.35 + len(grid) * (0.6 + ROW * (1.4 if several else 1.0) * len(pairs))
    styles = arm_styles(records.plan)
    with figure_style():
        figure, axes = new_figure(len(grid), len(grid[0]), height, width, sharey=True)
        for row, places in zip(axes, grid):
            for ax, (benchmark, name) in zip(row, places):
                for y, (arm, other) in enumerate(pairs.items()):
                    found = summary.difference(arm, other, benchmark, name)
                    if found is not None:
                        draw_difference(ax, found, y, styles[arm])
                forest_axes(ax, labels)
                ax.set_title(panel_title(benchmark, heading(name), width))
                ax.set_xlabel(better_side(name), fontsize=7)
        other = "each arm's baseline" if several else records.plan.baseline
        figure.suptitle(f"Paired difference to {other}, 95 % interval")
    return figure


def baselines(records: Records) -> dict[str, str]:
    """Arm -> the finished arm that it is compared with; arms that are a baseline are left out."""
    arms = scored_arms(records)
    pairs = {arm: records.plan.baseline_of(arm) for arm in arms}
    return {arm: other for arm, other in pairs.items() if arm != other and other in arms}


def draw_difference(ax: Axes, found: Row, y: float, style: ArmStyle) -> None:
    """One marker with its interval; hollow where the interval contains zero or is missing."""
    if found["low"] is not None:
        ax.plot([found["low"], found["high"]], [y, y], color=style.colour, lw=1.6, zorder=2)
    face = style.colour if excludes_zero(found) else "white"
    ax.plot(
        found["difference"], y, style.marker, color=style.colour, mfc=face, ms=5, mew=1.2, zorder=3
    )


def forest_axes(ax: Axes, labels: Sequence[str], centre: float = 0.0) -> None:
    """The arms from top to bottom, and the line of no difference."""
    ax.axvline(centre, **ZERO)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    if max(abs(end) for end in ax.get_xlim()) < ROUNDING:
        ax.set_xlim(-1, 1)
    ax.locator_params(axis="x", nbins=4)


def better_side(name: str) -> str:
    """The label of a difference axis: its unit and where better is."""
    unit = unit_of_difference(name) or "difference"
    return f"{unit}, better →" if improvement(name, 1.0) > 0 else f"← better, {unit}"
