"""The figures of a report. matplotlib is imported on first use: it takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.metrics import heading, improvement, unit_of_difference
from analysis.plan import INITIALISATION
from analysis.records import Records, score_matrices
from analysis.scaling import ScalingCurve
from analysis.style import CURVE_STYLE, PAGE_WIDTH, arm_styles, figure_style, new_figure
from analysis.summary import Row, Summary, scored_arms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = 0.18  # opacity of interval bands
TIE = 1e-9  # scores closer than rounding are equal
SMOOTHING_POINTS = 60  # a training loss is shown as at most this many means


def forest_figure(records: Records, summary: Summary, metrics: Sequence[str]) -> Figure:
    """Paired differences to the baseline with 95 % intervals: a row per benchmark."""
    baseline = records.plan.baseline
    styles = arm_styles(records.plan)
    benchmarks = records.benchmarks()
    arms = [arm for arm in scored_arms(records) if arm != baseline]
    height = 0.55 + len(benchmarks) * (0.55 + 0.21 * len(arms))
    with figure_style():
        figure, axes = new_figure(len(benchmarks), len(metrics), height, sharey=True)
        for row, benchmark in zip(axes, benchmarks):
            for ax, name in zip(row, metrics):
                for y, arm in enumerate(arms):
                    found = summary.difference(arm, baseline, benchmark, name)
                    _difference(ax, found, y, styles[arm])
                _forest_axes(ax, arms)
            row[-1].annotate(
                benchmark, (1.03, 0.5), xycoords="axes fraction", rotation=-90, va="center"
            )
        for top, bottom, name in zip(axes[0], axes[-1], metrics):
            top.set_title(heading(name))
            unit = unit_of_difference(name)
            bottom.set_xlabel(f"difference ({unit})" if unit == "points" else "difference")
        figure.suptitle(f"Paired difference to {baseline}, 95 % interval", fontsize=9)
    return figure


def _difference(ax: Axes, found: Row | None, y: int, style: tuple[str, str]) -> None:
    if found is None:
        return
    colour, marker = style
    if found["low"] is not None:
        ax.plot([found["low"], found["high"]], [y, y], color=colour, lw=1.6)
    ax.plot(found["difference"], y, marker, color=colour, ms=5, mew=1.2)


def _forest_axes(ax: Axes, arms: Sequence[str]) -> None:
    ax.axvline(0.0, color="0.6", lw=0.8, zorder=0)
    ax.set_yticks(range(len(arms)), arms)
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.locator_params(axis="x", nbins=4)


def scaling_figure(records: Records, curves: Sequence[ScalingCurve]) -> Figure:
    """Metric against unlabelled clips on a log axis that includes 0; yardsticks as bands."""
    drawn = [(curve, curve.points, curve.yardsticks, heading(curve.metric)) for curve in curves]
    return _scaling_grid(records, drawn)


def gain_figure(records: Records, curves: Sequence[ScalingCurve]) -> Figure:
    """The same as paired differences to the smallest count: what seeds and scenes share cancels."""
    drawn = [
        (curve, curve.gains, curve.yardstick_gains, f"gain in {heading(curve.metric)}")
        for curve in curves
    ]
    return _scaling_grid(records, drawn)


def _scaling_grid(records: Records, drawn: Sequence[tuple]) -> Figure:
    styles = arm_styles(records.plan)
    columns = min(len(drawn), 3)
    rows = -(-len(drawn) // columns)
    with figure_style():
        figure, axes = new_figure(rows, columns, 2.2 * rows + 0.3)
        for ax in axes.flat[len(drawn) :]:
            ax.set_visible(False)
        for ax, (curve, points, yardsticks, title) in zip(axes.flat, drawn):
            _scaling_axes(ax, points, yardsticks, styles)
            ax.set_title(f"{curve.benchmark}: {title}")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1))
    return figure


def _scaling_axes(
    ax: Axes, points: pd.DataFrame, yardsticks: pd.DataFrame, styles: dict[str, tuple[str, str]]
) -> None:
    for mark in yardsticks.itertuples():
        colour = styles[mark.arm][0]
        ax.axhline(mark.mean, color=colour, lw=1.2, ls="--", label=mark.arm, zorder=1)
        if mark.low is not None:
            ax.axhspan(mark.low, mark.high, color=colour, alpha=BAND, lw=0, zorder=0)
    if points.empty:
        return
    x, mean = points["count"].to_numpy(dtype=float), points["mean"].to_numpy(dtype=float)
    low, high = (
        np.array([m if v is None else v for v, m in zip(points[side], mean)], dtype=float)
        for side in ("low", "high")
    )
    colour, marker = CURVE_STYLE
    ax.fill_between(x, low, high, color=colour, alpha=BAND, lw=0, zorder=2)
    ax.plot(x, mean, f"{marker}-", color=colour, ms=4, lw=1.4, label="with unlabelled clips")
    _count_axis(ax, x)
    ax.set_xlabel("unlabelled clips")


def _count_axis(ax: Axes, counts: np.ndarray) -> None:
    """Log axis with 0 one step left of the smallest count; every count is a tick."""
    positive = counts[counts > 0]
    smallest = positive.min() if positive.size else 1.0
    ax.set_xscale("symlog", base=2, linthresh=smallest, linscale=1.0)
    ax.set_xticks(counts, [_short(count) for count in counts])
    ax.minorticks_off()
    ax.set_xlim(-0.12 * smallest, counts.max() * 1.25 if counts.max() > 0 else 1.0)


def _short(count: float) -> str:
    return f"{count / 1000:g}k" if count >= 10_000 and count % 1000 == 0 else f"{count:g}"


def learning_figure(records: Records, curves: pd.DataFrame, shown: Sequence[str]) -> Figure | None:
    """Curves over the training steps, mean and range over seeds; None if none was recorded."""
    shown = [name for name in shown if (curves["metric"] == name).any()]
    if not shown:
        return None
    styles = arm_styles(records.plan)
    arms = [arm.name for arm in records.plan.arms if arm.name != INITIALISATION]
    with figure_style():
        columns = min(len(shown), 3)
        rows = -(-len(shown) // columns)
        figure, axes = new_figure(rows, columns, 2.2 * rows + 0.35)
        for ax in axes.flat[len(shown) :]:
            ax.set_visible(False)
        for ax, name in zip(axes.flat, shown):
            for arm in arms:
                rows_of_arm = curves[(curves["arm"] == arm) & (curves["metric"] == name)]
                _curve_with_band(ax, rows_of_arm, arm, styles[arm][0])
            ax.set_title(_curve_title(name))
            ax.set_xlabel("training step")
        if shown[0] == "train/loss":
            _log_loss(axes[0, 0])
        handles = {label: h for a in axes.flat for h, label in zip(*a.get_legend_handles_labels())}
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 6)
        )
    return figure


def _log_loss(ax: Axes) -> None:
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.minorticks_off()


def curve_band(rows: pd.DataFrame, bins: int = SMOOTHING_POINTS) -> pd.DataFrame:
    """Mean, lowest and highest seed per step of one arm's curve; many steps are binned first.

    rows: seed, step, value. Returns step, mean, min, max, in order of step.
    """
    steps = np.sort(rows["step"].unique())
    edges = np.quantile(steps, np.linspace(0, 1, min(len(steps), bins) + 1))
    place = np.clip(np.searchsorted(edges, rows["step"], side="left"), 1, None)
    per_seed = (
        rows.assign(place=place).groupby(["place", "seed"])[["step", "value"]].mean().reset_index()
    )
    groups = per_seed.groupby("place")
    band = groups["value"].agg(["mean", "min", "max"])
    band.insert(0, "step", groups["step"].mean())
    return band.reset_index(drop=True)


def _curve_with_band(ax: Axes, rows: pd.DataFrame, arm: str, colour: str) -> None:
    if rows.empty:
        return
    band = curve_band(rows)
    ax.fill_between(band["step"], band["min"], band["max"], color=colour, alpha=BAND, lw=0)
    ax.plot(band["step"], band["mean"], color=colour, lw=1.3, label=arm)


def _curve_title(name: str) -> str:
    *parts, last = name.split("/")
    if parts[0] == "validation":
        return f"{' '.join(parts)}: {heading(last)}"
    return "training loss" if name == "train/loss" else f"training {last}"


def scene_figure(
    records: Records, arm: str, baseline: str, benchmark: str, metrics: Sequence[str]
) -> Figure:
    """Each scene's score, averaged over shared seeds: `arm` against `baseline`."""
    colour = arm_styles(records.plan)[arm][0]
    with figure_style():
        figure, axes = new_figure(1, len(metrics), PAGE_WIDTH / max(len(metrics), 2) + 0.3)
        for ax, name in zip(axes[0], metrics):
            values, _, _ = score_matrices(records, [baseline, arm], benchmark, name)
            keep = ~np.isnan(values).any(axis=0)  # [S, K]
            counts = keep.sum(axis=0)
            means = np.where(keep, values, 0.0).sum(axis=1)[:, counts > 0] / counts[counts > 0]
            _scene_axes(ax, means[0], means[1], colour)
            gain = improvement(name, 1.0) * (means[1] - means[0])
            better, worse = int((gain > TIE).sum()), int((gain < -TIE).sum())
            ax.set_title(
                f"{heading(name)}: better {better}, worse {worse}, equal "
                f"{gain.size - better - worse} of {gain.size}"
            )
            ax.set_xlabel(baseline)
        axes[0, 0].set_ylabel(arm)
        figure.suptitle(f"{benchmark.capitalize()} scenes, mean over shared seeds", fontsize=9)
    return figure


def _scene_axes(ax: Axes, x: np.ndarray, y: np.ndarray, colour: str) -> None:
    if x.size == 0:
        return
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.06 * (high - low) or 1.0
    ends = [low - margin, high + margin]
    ax.plot(ends, ends, color="0.6", lw=0.8, zorder=0)
    # Shares of a few frame pairs coincide: the area of a point is its number of scenes.
    points, counts = np.unique(np.round(np.stack([x, y], axis=1), 6), axis=0, return_counts=True)
    area = np.clip(9.0 * counts, 9.0, None) * min(1.0, 40.0 / counts.max())
    ax.scatter(*points.T, s=area, color=colour, alpha=0.4, lw=0, clip_on=False)
    ax.set(xlim=ends, ylim=ends, box_aspect=1)
