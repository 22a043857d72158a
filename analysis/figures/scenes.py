"""Scene by scene: an arm against its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.metrics import heading, improvement
from analysis.records import Records, score_matrices
from analysis.style import (
    PAGE_WIDTH,
    arm_styles,
    figure_style,
    panel_grid,
    panel_title,
    plain_log_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TIE = 1e-9  # scores closer than rounding are equal
FEW_LEVELS = 8  # of a score that is a share of few frame pairs: counted instead of scattered


def scene_figure(
    records: Records,
    arm: str,
    baseline: str,
    benchmark: str,
    metrics: Sequence[str],
    width: float = PAGE_WIDTH,
) -> Figure:
    """Each scene's score, averaged over shared seeds: `arm` against `baseline`.

    A score with few levels is shown as counts on a grid, another as points.
    """
    colour = arm_styles(records.plan)[arm].colour
    columns = min(len(metrics), 3) if width >= PAGE_WIDTH else 1
    with figure_style():
        figure, axes = panel_grid(len(metrics), width, width / columns + 0.25, columns, 0.25)
        for ax, name in zip(axes, metrics):
            means = scene_means(records, [baseline, arm], benchmark, name)
            levels = np.unique(np.round(means, 6))
            if 0 < levels.size <= FEW_LEVELS:
                _count_axes(ax, means, levels)
            else:
                _scatter_axes(ax, means, colour, log=improvement(name, 1.0) < 0)
            ax.set_title(f"{heading(name)}\n{share_better(name, means[1] - means[0])}", fontsize=7)
            ax.set_xlabel(baseline)
            ax.set_ylabel(arm)
        scenes = f"{means.shape[1]} {benchmark} scenes, mean over shared seeds"
        figure.suptitle(panel_title(f"{arm} against {baseline}", scenes, width))
    return figure


def scene_means(records: Records, arms: list[str], benchmark: str, name: str) -> np.ndarray:
    """Scores [A, K'] of the scenes that all arms have, over the seeds where all have them."""
    values, _, _ = score_matrices(records, arms, benchmark, name)
    keep = ~np.isnan(values).any(axis=0)  # [S, K]
    counts = keep.sum(axis=0)
    return np.where(keep, values, 0.0).sum(axis=1)[:, counts > 0] / counts[counts > 0]


def share_better(name: str, differences: np.ndarray) -> str:
    """`better 39 %, worse 29 %, equal 32 %` of the scenes."""
    if differences.size == 0:
        return "no shared scene"
    gain = improvement(name, 1.0) * differences
    better, worse = float((gain > TIE).mean()), float((gain < -TIE).mean())
    shares = {"better": better, "worse": worse, "equal": 1.0 - better - worse}
    return ", ".join(f"{word} {100 * share:.0f} %" for word, share in shares.items())


def _count_axes(ax: Axes, means: np.ndarray, levels: np.ndarray) -> None:
    """How many scenes have each pair of levels; above the diagonal the arm scores higher."""
    from matplotlib.patches import Rectangle

    places = np.searchsorted(levels, np.round(means, 6))  # [2, K]
    counts = np.zeros((levels.size, levels.size), dtype=int)
    np.add.at(counts, (places[1], places[0]), 1)
    shade = np.log1p(counts) / np.log1p(counts.max())
    ax.imshow(shade, origin="lower", cmap="Greys", vmin=0, vmax=1.25)
    for y, x in zip(*np.nonzero(counts)):
        colour = "white" if shade[y, x] > 0.7 else "black"
        ax.text(x, y, str(counts[y, x]), ha="center", va="center", fontsize=6, color=colour)
    for i in range(levels.size):  # the scenes in which both score the same
        ax.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, ec="0.35", lw=0.8))
    labels = [f"{level:g}" for level in np.round(levels, 1)]
    ax.set_xticks(range(levels.size), labels)
    ax.set_yticks(range(levels.size), labels)
    ax.set_box_aspect(1)


def _scatter_axes(ax: Axes, means: np.ndarray, colour: str, log: bool) -> None:
    if means.size == 0:
        return
    if log and (means > 0).all():
        ax.set(xscale="log", yscale="log")
        margin = (means.max() / means.min()) ** 0.05
        ends = [means.min() / margin, means.max() * margin]
    else:
        margin = 0.05 * (means.max() - means.min()) or 1.0
        ends = [means.min() - margin, means.max() + margin]
    ax.plot(ends, ends, color="0.55", lw=0.8, zorder=0)
    # Shares of a few frame pairs coincide: the area of a point is its number of scenes.
    points, counts = np.unique(np.round(means.T, 6), axis=0, return_counts=True)
    area = np.clip(7.0 * counts, 7.0, 120.0)
    ax.scatter(*points.T, s=area, color=colour, alpha=0.45, lw=0, clip_on=False)
    ax.set(xlim=ends, ylim=ends, box_aspect=1)
    if ax.get_xscale() == "log":
        for axis in (ax.xaxis, ax.yaxis):
            plain_log_axis(axis)
