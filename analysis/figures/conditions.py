"""Error against what a scene is like: motion, covisibility, camera rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.figures.differences import baselines
from analysis.metrics import heading
from analysis.plan import INITIALISATION
from analysis.records import Records, score_matrices
from analysis.statistics import estimate
from analysis.style import (
    PAGE_WIDTH,
    ZERO,
    ArmStyle,
    arm_styles,
    figure_style,
    legend_below,
    stacked_pairs,
)
from analysis.summary import scored_arms
from flow3r.evaluation.names import COVARIATES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUPS = 5
FEWEST = 8  # scenes in a group


@dataclass(frozen=True)
class Binned:
    """Scenes in groups of equal size along a covariate: mean covariate [G] and scene indices."""

    name: str
    centres: np.ndarray
    members: tuple[np.ndarray, ...]


def conditions_figure(
    records: Records, benchmark: str, name: str, width: float = PAGE_WIDTH
) -> Figure | None:
    """Scores of the arms, and the differences to the baseline, against each covariate.

    None where no covariate was recorded, or none varies over at least two groups of scenes.
    """
    known = scene_covariates(records, benchmark)
    arms = [arm for arm in scored_arms(records) if arm != INITIALISATION]
    if known.empty or not arms:
        return None
    values, _, scenes = score_matrices(records, arms, benchmark, name)
    found = [bin_scenes(known[c], scenes) for c in COVARIATES if c in known.columns]
    found = [binned for binned in found if binned is not None]
    if not values.size or not found:
        return None
    with figure_style():
        figure, pairs = stacked_pairs(len(found), width, 3.9, sharey="row")
        for (top, bottom), binned in zip(pairs, found):
            _draw(top, bottom, binned, dict(zip(arms, values)), records)
            _label(top, bottom, binned.name)
        for top, bottom in pairs if width < PAGE_WIDTH else pairs[:1]:
            top.set_ylabel(heading(name))
            bottom.set_ylabel("difference to baseline")
        figure.suptitle(f"{benchmark.capitalize()} scenes in groups of equal size")
        legend_below(figure, width)
    return figure


def scene_covariates(records: Records, benchmark: str) -> pd.DataFrame:
    """One row per scene (the index), one column per covariate; empty where none was recorded."""
    rows = records.covariates[records.covariates["benchmark"] == benchmark]
    return rows.pivot(index="scene", columns="covariate", values="value")


def bin_scenes(covariate: pd.Series, scenes: Sequence[str]) -> Binned | None:
    """Groups of equal size along a covariate (by scene); None where it hardly varies."""
    values = covariate.reindex(scenes).to_numpy(dtype=float)
    known = np.isfinite(values)
    groups = min(GROUPS, int(known.sum()) // FEWEST)
    if groups < 2:
        return None
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, groups + 1)))
    if edges.size < 3:
        return None
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, edges.size - 2)
    members = [np.flatnonzero(known & (place == i)) for i in range(edges.size - 1)]
    members = tuple(group for group in members if group.size)
    return Binned(covariate.name, np.array([values[group].mean() for group in members]), members)


def _draw(
    top: Axes, bottom: Axes, binned: Binned, scores: dict[str, np.ndarray], records: Records
) -> None:
    asked, styles, against = records.plan.headline, arm_styles(records.plan), baselines(records)
    for arm, values in scores.items():
        _line(top, binned.centres, [np.nanmean(values[:, g]) for g in binned.members], styles[arm],
              label=arm)  # fmt: skip
        if against.get(arm) not in scores:
            continue
        changes = values - scores[against[arm]]
        _line(bottom, binned.centres, [np.nanmean(changes[:, g]) for g in binned.members],
              styles[arm])  # fmt: skip
        if arm == asked.arm:
            _intervals(bottom, binned, changes, styles[arm])


def _line(ax: Axes, x: np.ndarray, y: Sequence[float], style: ArmStyle, label: str = "") -> None:
    ax.plot(
        x, y, color=style.colour, ls=style.line, marker=style.marker, ms=3.5, lw=1.1,
        label=label or "_",
    )  # fmt: skip


def _intervals(ax: Axes, binned: Binned, changes: np.ndarray, style: ArmStyle) -> None:
    """95 % intervals of the headline's difference; with all arms they could not be told apart."""
    for x, group in zip(binned.centres, binned.members):
        found = estimate(changes[:, group])
        if found.low is not None:
            ax.plot([x, x], [found.low, found.high], color=style.colour, lw=1.0)


def _label(top: Axes, bottom: Axes, name: str) -> None:
    covariate = COVARIATES[name]
    bottom.axhline(0.0, **ZERO)
    bottom.set_xlabel(f"{covariate.label} ({covariate.unit})")
    top.tick_params(labelbottom=False)
    for ax in (top, bottom):
        ax.locator_params(axis="x", nbins=4)
