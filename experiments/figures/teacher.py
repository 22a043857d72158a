"""Figures of a teacher's quality: error against gap, and rows of examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from experiments.figures.colours import flow_colours
from experiments.figures.png import write_png
from experiments.teacher_clips import frames_of, judged_clip
from flow3r.teachers.base import Teacher
from flow3r.teachers.consistency import pixel_centres

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 120
HEADS = (
    "source",
    "true flow",
    "teacher's flow",
    "error (white: 3 px)",
    "kept: right, wrong, missed",
)
LARGEST_ERROR = 3.0  # pixels; white in the pictures
KEPT_RIGHT, KEPT_WRONG, MISSED, HIDDEN = (
    (0.6, 0.8, 0.6),
    (0.8, 0.1, 0.1),
    (0.95, 0.8, 0.3),
    (0, 0, 0),
)


def write_teacher_figures(
    folder: Path, teacher: Teacher, rows: Sequence[dict[str, Any]]
) -> list[Path]:
    """`NAME-error.png` and `NAME-examples.png`; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{teacher.name}-{kind}.png" for kind in ("error", "examples")]
    write_png(paths[0], draw_error(rows), DOTS)
    write_png(paths[1], draw_examples(teacher, rows), DOTS)
    return paths


def draw_error(rows: Sequence[dict[str, Any]]) -> Figure:
    """End-point error and covisibility against the gap, a line per size and motion."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for size, motion in dict.fromkeys((r["size"], r["motion"]) for r in rows):
        own = [r for r in rows if (r["size"], r["motion"]) == (size, motion)]
        gaps = [r["gap"] for r in own]
        [line] = left.plot(gaps, [r["epe/all"] for r in own], "o-", label=f"{motion}, {size} px")
        colour = line.get_color()
        left.plot(gaps, [r["epe/kept"] for r in own], "o:", color=colour)
        right.plot(gaps, [r["covisibility_precision/all"] for r in own], "o-", color=colour)
        right.plot(gaps, [r["covisibility_recall/all"] for r in own], "o:", color=colour)
    left.set(xlabel="gap, frames", ylabel="end-point error, px", ylim=(0, None))
    left.set_title("covisible pixels (dotted: kept ones)", fontsize=9)
    left.legend(fontsize=7, frameon=False)
    right.set(xlabel="gap, frames", ylabel="%")
    right.set_title("covisibility: precision (dotted: recall)", fontsize=9)
    for axes in (left, right):
        axes.set_xticks(sorted({r["gap"] for r in rows}))
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_examples(teacher: Teacher, rows: Sequence[dict[str, Any]]) -> Figure:
    """The first clip of every motion at the largest size, at the least and the largest gap."""
    size = max(r["size"] for r in rows)
    shown = []
    for motion in dict.fromkeys(r["motion"] for r in rows):
        gaps = [r["gap"] for r in rows if r["motion"] == motion and r["gap"] < frames_of(motion)]
        shown += [(motion, gap) for gap in sorted({min(gaps), max(gaps)})]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.6 * len(HEADS), 1.7 * len(shown) + 0.2), layout="constrained")
    grid = figure.subplots(len(shown), len(HEADS), squeeze=False)
    for axes, (motion, gap) in zip(grid, shown):
        for ax, cell in zip(axes, example_cells(teacher, size, motion, gap)):
            ax.imshow(cell)
            ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(f"{motion}, gap {gap}", fontsize=8)
    for ax, head in zip(grid[0], HEADS):
        ax.set_title(head, fontsize=7.5)
    return figure


def example_cells(teacher: Teacher, size: int, motion: str, gap: int) -> list[np.ndarray]:
    """The pictures of a row in the order of `HEADS`, RGB [H, W, 3] each."""
    clip = judged_clip(size, motion, 0)
    pairs = torch.tensor([(0, gap)])
    labels = teacher.label(clip.images, pairs, truth=clip.flow, index=0)
    target_px, covisibility = (v[0].numpy() for v in clip.flow(pairs))
    own = labels.target_px[0].cpu().numpy()
    grid = pixel_centres(size, size)
    seen, kept = covisibility > 0.5, labels.covisibility[0].cpu().numpy() > 0.5
    length = np.linalg.norm(target_px - grid, axis=-1)
    largest = float(np.quantile(length[seen], 0.97)) if seen.any() else 1.0
    error = np.linalg.norm(own - target_px, axis=-1) / LARGEST_ERROR
    masks = np.zeros((size, size, 3))
    for where, colour in (
        (kept & seen, KEPT_RIGHT),
        (kept & ~seen, KEPT_WRONG),
        (~kept & seen, MISSED),
        (~kept & ~seen, HIDDEN),
    ):
        masks[where] = colour
    return [
        clip.images[0].permute(1, 2, 0).numpy().clip(0, 1),
        flow_colours(target_px - grid, largest),
        flow_colours(own - grid, largest),
        np.repeat((error * seen).clip(0, 1)[..., None], 3, axis=-1),
        masks,
    ]
