"""Curves over the training steps, one band per arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.metrics import heading
from analysis.plan import INITIALISATION
from analysis.records import Records
from analysis.style import (
    BAND,
    PAGE_WIDTH,
    ArmStyle,
    arm_styles,
    figure_style,
    legend_below,
    panel_grid,
    plain_log_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMOOTHING_POINTS = 60  # a training loss is shown as at most this many means
MARKS = 8  # markers along a curve
CURVES = ("rra_15", "rta_30", "auc_30")
LOSSES = ("train/points", "train/camera_rotation", "train/camera_translation_direction",
          "train/flow")  # fmt: skip


def learning_figure(
    records: Records, curves: pd.DataFrame, shown: Sequence[str], width: float = PAGE_WIDTH
) -> Figure | None:
    """Mean and range over seeds of each recorded curve; None if none was recorded."""
    shown = [name for name in shown if (curves["metric"] == name).any()]
    if not shown:
        return None
    styles = arm_styles(records.plan)
    arms = [arm.name for arm in records.plan.arms if arm.name != INITIALISATION]
    groups = dict(iter(curves.groupby(["arm", "metric"], sort=False)))
    with figure_style():
        figure, axes = panel_grid(len(shown), width, 1.95, most=2 if len(shown) == 4 else 3)
        for ax, name in zip(axes, shown):
            for arm in arms:
                if (arm, name) in groups:
                    _draw_curve(ax, curve_band(groups[arm, name]), arm, styles[arm])
            ax.set_title(curve_title(name))
            ax.set_xlabel("training step")
            if name.startswith("train/"):
                ax.set_yscale("log")
                plain_log_axis(ax.yaxis)
        legend_below(figure, width)
    return figure


def validation_curves(curves: pd.DataFrame) -> list[str]:
    """The recorded validation curves of the metrics in `CURVES`, benchmark by benchmark."""
    recorded = set(curves["metric"])
    return sorted(
        (n for n in recorded if n.startswith("validation/") and n.rsplit("/", 1)[-1] in CURVES),
        key=lambda name: (name.rsplit("/", 1)[0], CURVES.index(name.rsplit("/", 1)[-1])),
    )


def training_curves(curves: pd.DataFrame) -> list[str]:
    """The recorded terms of the training loss; the whole loss where no term was recorded."""
    recorded = set(curves["metric"])
    return [name for name in LOSSES if name in recorded] or ["train/loss"]


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


def curve_title(name: str) -> str:
    """`validation dynamic: RRA@15 (%) ↑`, `training loss: camera rotation`."""
    *parts, last = name.split("/")
    if parts[0] == "validation":
        return f"{' '.join(parts)}: {heading(last)}"
    return "training loss" if name == "train/loss" else f"training loss: {last.replace('_', ' ')}"


def _draw_curve(ax: Axes, band: pd.DataFrame, arm: str, style: ArmStyle) -> None:
    ax.fill_between(band["step"], band["min"], band["max"], color=style.colour, alpha=BAND, lw=0)
    ax.plot(
        band["step"],
        band["mean"],
        color=style.colour,
        ls=style.line,
        lw=1.2,
        marker=style.marker,
        ms=3.5,
        markevery=max(1, -(-len(band) // MARKS)),
        label=arm,
    )
