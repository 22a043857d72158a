"""A page that shows a reconstruction: some frames with depth and confidence, and the floor plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.figures.above import draw_camera, frame_scene, slab
from experiments.figures.colours import depth_colours, flow_colours, mapped, masked
from experiments.figures.png import write_png
from flow3r.inference.frusta import frame_colours
from flow3r.inference.result import Reconstruction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RESOLUTION = 140  # dots per inch
SHOWN_FRAMES = 6
PANEL, ABOVE = 1.4, 3.4  # inches: width of an image; least side of the view from above
GAP, LEFT, TOP, BOTTOM = 0.06, 1.05, 0.5, 0.3
CONFIDENCE_MAP = "viridis"
NEAREST_UP_TO = 96  # pixels; a larger image would lose pixels rather than show them
CAMERA_SIZE = 0.05
"""Of the view's height."""


def write_preview(path: Path, result: Reconstruction, title: str) -> None:
    """Write the page as a PNG."""
    from matplotlib import rc_context

    with rc_context({"font.size": 8, "font.family": "sans-serif", "axes.linewidth": 0.5}):
        write_png(path, draw_preview(result, title), RESOLUTION)


def draw_preview(result: Reconstruction, title: str) -> Figure:
    """Rows: frames, depth, confidence (grey: not in the cloud), flow where there is one."""
    from matplotlib.figure import Figure

    count = min(SHOWN_FRAMES, len(result.names))
    shown = np.linspace(0, len(result.names) - 1, count).round().astype(int)
    rows = _rows(result, shown)
    height = PANEL * result.size[0] / result.size[1]
    body = max(ABOVE, len(rows) * (height + GAP))
    size = (LEFT + count * (PANEL + GAP) + body + GAP, TOP + body + BOTTOM)
    figure = Figure(figsize=size)
    nearest = max(result.size) <= NEAREST_UP_TO
    for row, (label, pictures) in enumerate(rows):
        bottom = size[1] - TOP - (row + 1) * (height + GAP) + GAP
        for column, picture in enumerate(pictures):
            left = LEFT + column * (PANEL + GAP)
            ax = _axes(figure, left, bottom, PANEL, height)
            if picture is None:
                ax.axis("off")
                continue
            ax.imshow(picture, aspect="auto", interpolation="nearest" if nearest else "antialiased")
            if row == 0:
                ax.set_title(result.names[shown[column]], fontsize=7, pad=2)
        middle = (bottom + height / 2) / size[1]
        figure.text((LEFT - 0.08) / size[0], middle, label, ha="right", va="center")
    above = _axes(figure, size[0] - body - GAP, BOTTOM, body, body)
    _draw_scene(above, result)
    figure.text(0.06 / size[0], 1 - 0.06 / size[1], title, va="top", fontsize=9)
    return figure


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    across, up = figure.get_size_inches()
    ax = figure.add_axes((left / across, bottom / up, width / across, height / up))
    ax.set(xticks=[], yticks=[])
    return ax


def _rows(result: Reconstruction, shown: np.ndarray) -> list[tuple[str, list]]:
    low, high = np.quantile(result.depth[shown], [0.01, 0.99])
    limits = (low, max(high, 1.01 * low))
    depths = [depth_colours(depth, limits) for depth in result.depth[shown]]
    confidence = result.confidence[shown]
    top = max(float(confidence.max()), 1e-6)
    colours = mapped(confidence, (0.0, top), CONFIDENCE_MAP)
    rows = [
        ("input", list(result.images[shown])),
        (f"depth\n{low:.2g} (light)\nto {high:.2g}", depths),
        (
            f"confidence\n0 to {top:.2g}\ngrey: up to {result.threshold:g}",
            list(masked(colours, result.keep[shown])),
        ),
    ]
    if result.flow_px is not None:
        rows.append(_flow_row(result.flow_px, shown))
    return rows


def _flow_row(flow: np.ndarray, shown: np.ndarray) -> tuple[str, list]:
    """The last frame has no next one."""
    known = np.isfinite(flow).all(axis=-1)
    lengths = np.linalg.norm(flow, axis=-1)[known]
    limit = max(0.5, float(np.quantile(lengths, 0.97))) if lengths.size else 1.0
    pictures = [
        masked(flow_colours(np.nan_to_num(flow[i]), limit), known[i]) if i < len(flow) else None
        for i in shown
    ]
    return f"flow to the\nnext frame\nfull: {limit:.2g} px", pictures


def _draw_scene(ax: Axes, result: Reconstruction) -> None:
    """x to the right, the first camera's viewing direction upward."""
    centres = result.world_from_camera[:, :3, 3]
    chosen = np.arange(0)
    if len(result.points):
        chosen = slab(result.points, float(np.median(centres[:, 1])))
        points = result.points[chosen]
        ax.scatter(*points[:, [0, 2]].T, s=2.0, c=result.colours[chosen] / 255, lw=0, zorder=2)
        frame_scene(ax, points, centres)
    else:
        ax.text(0.5, 0.5, "no point is confident enough", ha="center", transform=ax.transAxes)
        frame_scene(ax, centres, centres)
    size = CAMERA_SIZE * (ax.get_ylim()[1] - ax.get_ylim()[0])
    ax.plot(*centres[:, [0, 2]].T, color="0.4", lw=0.6, zorder=3)
    for camera, colour in zip(result.world_from_camera, frame_colours(len(centres)) / 255):
        draw_camera(ax, camera, size, tuple(colour))
    ax.set_title("from above, cameras from blue (first) to red", fontsize=8, pad=3)
    ax.set_xlabel(f"{len(result.points):,} points, {len(centres)} cameras", fontsize=7, labelpad=2)
