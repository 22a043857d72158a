"""A page of clips: a row each, columns of images, depth, flow and the scene from above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.figures.above import (
    PREDICTED_CAMERA,
    TRUE_CAMERA,
    TRUE_COLOUR,
    draw_above,
)
from experiments.figures.colours import (
    DEPTH_MAP,
    ERROR_MAP,
    depth_colours,
    flow_colours,
    flow_wheel,
    mapped,
    masked,
)
from experiments.figures.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL, ABOVE = 1.1, 1.65  # inches: width of an image, and of the view from above
GAP, BELOW = 0.07, 0.22  # between columns; below a row, for its numbers
LEFT, TOP, BOTTOM = 0.88, 0.44, 0.64
NEAREST_UP_TO = 96  # pixels; a larger image would lose pixels rather than show them
COLUMNS = ("source", "target", "true depth", "predicted depth")
FLOW_COLUMNS = ("true flow", "predicted flow", "end-point error")
SETTINGS = {"font.size": 8, "font.family": "sans-serif", "axes.linewidth": 0.5}


@dataclass(frozen=True)
class Limits:
    """Colour ranges that all rows of a sheet share, so that rows can be compared."""

    depth: tuple[float, float]
    flow: float
    error: float


def shared_limits(rows: Sequence[Row]) -> Limits:
    """Ranges of the true depth, the true covisible flow and the covisible error."""
    depth = np.concatenate([row.true_depth[row.true_depth > 0] for row in rows])
    low, high = np.quantile(depth, [0.01, 0.99])
    flows = [row.flow for row in rows if row.flow is not None]
    seen = [np.linalg.norm(f.truth, axis=-1)[f.covisible] for f in flows]
    errors = [f.error[f.covisible] for f in flows]
    return Limits((low, max(high, 1.01 * low)), _upper(seen, 0.98), _upper(errors, 0.95))


def _upper(values: list[np.ndarray], share: float) -> float:
    """A quantile, of at least one pixel: a smaller range would show rounding."""
    together = np.concatenate([np.ones(1), *values])
    return max(1.0, float(np.quantile(together, share)))


def draw_sheet(title: str, rows: Sequence[Row]) -> Figure:
    """The figure of some clips of one benchmark, all of the same size.

    The columns of the flow are there if a row has any; a row without one leaves them empty.
    """
    from matplotlib.figure import Figure

    with_flow = any(row.flow is not None for row in rows)
    heads = COLUMNS + (FLOW_COLUMNS if with_flow else ())
    height, width = rows[0].source.shape[:2]
    panel = PANEL * height / width
    step = max(panel, 1.0) + BELOW
    size = (LEFT + len(heads) * (PANEL + GAP) + ABOVE + GAP, TOP + len(rows) * step + BOTTOM)
    figure = Figure(figsize=size)
    limits = shared_limits(rows)
    for index, row in enumerate(rows):
        top = size[1] - TOP - index * step
        axes = [_axes(figure, _left(i), top - panel, PANEL, panel) for i in range(len(heads))]
        above = _axes(figure, _left(len(heads)), top - step + BELOW, ABOVE, step - BELOW)
        _draw_row(axes, above, row, limits)
        if index == 0:
            for ax, head in zip([*axes, above], [*heads, "aligned, from above"]):
                ax.set_title(head, fontsize=8, pad=3)
    _draw_keys(figure, limits, with_flow)
    figure.text(0.06 / size[0], 1 - 0.06 / size[1], title, va="top", fontsize=9)
    return figure


def _left(column: int) -> float:
    return LEFT + column * (PANEL + GAP)


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    across, up = figure.get_size_inches()
    ax = figure.add_axes((left / across, bottom / up, width / across, height / up))
    ax.set(xticks=[], yticks=[])
    return ax


def _draw_row(axes: Sequence[Axes], above: Axes, row: Row, limits: Limits) -> None:
    depths = [depth_colours(d, limits.depth) for d in (row.true_depth, row.depth)]
    images, notes = [row.source, row.target, *depths], {3: f"AbsRel {row.depth_error:.2f}"}
    if row.flow is not None:
        flow = row.flow
        error = mapped(flow.error, (0.0, limits.error), ERROR_MAP)
        images += [
            masked(flow_colours(flow.truth, limits.flow), flow.covisible),
            flow_colours(flow.predicted, limits.flow),
            masked(error, flow.covisible),
        ]
        notes[6] = f"mean {flow.mean_error:.1f} px"
    for ax in axes[len(images) :]:
        ax.text(0.5, 0.5, "no flow\npredicted", ha="center", va="center", fontsize=7, color="0.4")
    # Nearest: the reader should see the pixels that the model saw.
    interpolation = "nearest" if row.source.shape[1] <= NEAREST_UP_TO else "antialiased"
    for ax, image in zip(axes, images):
        ax.imshow(np.clip(image, 0, 1), interpolation=interpolation, aspect="auto")
    for column, note in notes.items():
        axes[column].set_xlabel(note, fontsize=7, labelpad=2)
    draw_above(above, row.cloud)
    above.set_xlabel(f"rotation error {row.cloud.rotation_error:.1f}°", fontsize=7, labelpad=2)
    axes[0].annotate(
        row.choice.label,
        (-0.06, 0.5),
        xycoords="axes fraction",
        ha="right",
        va="center",
        fontsize=8 if not row.choice.arm else 7,
    )


def _draw_keys(figure: Figure, limits: Limits, with_flow: bool) -> None:
    """Below the columns they belong to: two colour bars, the flow wheel, the marks."""
    low, high = limits.depth
    middle = float(np.sqrt(low * high))
    depth = _axes(figure, _left(2), 0.36, 2 * PANEL + GAP, 0.09)
    _bar(depth, DEPTH_MAP, [f"{d:.2g}" for d in (low, middle, high)], "depth (scene units, log)")
    if with_flow:
        wheel = _axes(figure, _left(4) + 0.35, 0.06, 0.46, 0.46)
        wheel.imshow(flow_wheel(96))
        wheel.axis("off")
        wheel.annotate(
            f"direction of the flow;\nrim: {limits.flow:.3g} px or more\ngrey: not covisible",
            (1.1, 0.5),
            xycoords="axes fraction",
            va="center",
            fontsize=7,
        )
        error = _axes(figure, _left(6), 0.36, PANEL, 0.09)
        _bar(error, ERROR_MAP, ["0", f"{limits.error / 2:.2g}", f"{limits.error:.2g}"], "px")
    _draw_marks(_axes(figure, _left(7 if with_flow else 4), 0.06, ABOVE, 0.46))


def _bar(ax: Axes, name: str, labels: Sequence[str], unit: str) -> None:
    from matplotlib import colormaps

    ax.imshow(colormaps[name](np.linspace(0, 1, 256))[None], aspect="auto", extent=(0, 1, 0, 1))
    ax.set_xticks([0, 0.5, 1], labels, fontsize=7)
    ax.tick_params(length=2, width=0.5, pad=1)
    ax.set_xlabel(unit, fontsize=7, labelpad=0)
    for label, side in zip(ax.get_xticklabels(), ("left", "center", "right")):
        label.set_horizontalalignment(side)


def _draw_marks(ax: Axes) -> None:
    ax.axis("off")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    entries = [
        (TRUE_COLOUR, "o", "true points"),
        ("#8a6d3b", "o", "predicted, image colours"),
        (TRUE_CAMERA, "v", "true cameras"),
        (PREDICTED_CAMERA, "v", "predicted cameras"),
    ]
    for index, (colour, marker, text) in enumerate(entries):
        y = 0.95 - 0.3 * index
        hollow = "none" if marker == "v" else colour
        ax.plot(0.04, y, marker, color=colour, ms=4, mfc=hollow, clip_on=False)
        ax.text(0.1, y, text, va="center", fontsize=7)
