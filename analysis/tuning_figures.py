"""The figures of a tuning's report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.metrics import heading
from analysis.style import (
    FIXED,
    PAGE_WIDTH,
    SPARE,
    SPARE_LINES,
    SPARE_MARKERS,
    ArmStyle,
    figure_style,
    legend_below,
    new_figure,
    panel_grid,
    plain_log_axis,
)
from analysis.tuning_records import Tuning
from analysis.tuning_tables import best_of_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def best_of_figure(tuning: Tuning, width: float = PAGE_WIDTH) -> Figure:
    """The expected best score after k candidates, a line per formulation."""
    styles = _styles(tuning)
    with figure_style():
        figure, axes = new_figure(1, 1, 2.6, width)
        ax = axes[0, 0]
        for name, rows in best_of_data(tuning).groupby("formulation", sort=False):
            style = styles[name]
            ax.plot(
                rows["candidates"],
                rows["expected_best"],
                color=style.colour,
                ls=style.line,
                marker=style.marker,
                ms=3.5,
                lw=1.2,
                label=name,
            )
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel("candidates tried")
        ax.set_ylabel(f"expected best\n{heading(tuning.metric)}")
        legend_below(figure, width)
    return figure


def settings_figure(tuning: Tuning, width: float = PAGE_WIDTH) -> Figure:
    """Every candidate's score over each setting; the default's value as a line."""
    styles = _styles(tuning)
    with figure_style():
        figure, axes = panel_grid(len(tuning.settings), width, 2.1)
        for ax, setting in zip(axes, tuning.settings, strict=True):
            ax.axvline(setting.default, color="0.7", lw=0.8, zorder=0)
            for formulation in tuning.formulations:
                style = styles[formulation.name]
                shown = [trial for trial in formulation.trials if trial.compared is not None]
                ax.plot(
                    [trial.values[setting.name] for trial in shown],
                    [trial.compared for trial in shown],
                    ls="",
                    color=style.colour,
                    marker=style.marker,
                    ms=4,
                    label=formulation.name,
                )
            ax.set_xscale("log")
            ax.set_xlim(setting.low, setting.high)
            plain_log_axis(ax.xaxis)
            ax.set_xlabel(setting.label)
            ax.set_ylabel(heading(tuning.metric))
        legend_below(figure, width)
    return figure


def _styles(tuning: Tuning) -> dict[str, ArmStyle]:
    """The style of a formulation in every other figure; a spare one for a new formulation."""
    new = [f.name for f in tuning.formulations if f.name not in FIXED]
    spare = zip(new, SPARE, SPARE_MARKERS, SPARE_LINES)
    return {**FIXED, **{name: ArmStyle(*parts) for name, *parts in spare}}
