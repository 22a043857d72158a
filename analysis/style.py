"""One look for all figures: print size, fonts readable at column width, colours safe for
colour-blind readers (Okabe and Ito 2008) and fixed per formulation. No figure needs its colours:
every arm has a marker and a line of its own, so that a grey print can be read as well.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.plan import INITIALISATION, Plan

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

PAGE_WIDTH = 7.0  # inches: the text width of a two-column page
COLUMN_WIDTH = 3.4  # inches: one column of it, and about what a phone shows at reading size
SETTINGS = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,  # long enough to tell dashes apart
    "figure.dpi": 100,
    "figure.titlesize": 8.5,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # editable text; some venues refuse the default type 3
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "figure.constrained_layout.use": True,
}
BAND = 0.15  # opacity of interval bands
ZERO = {"color": "0.55", "lw": 0.8, "zorder": 0}  # the line of no difference


class ArmStyle(NamedTuple):
    """How an arm is drawn; `line` is a matplotlib line style."""

    colour: str
    marker: str
    line: str | tuple


FIXED = {
    "3d-sup": ArmStyle("#4D4D4D", "o", "-"),
    "3d-sup++": ArmStyle("#009E73", "s", (0, (5, 1.5))),
    "flow-projective": ArmStyle("#E69F00", "^", (0, (4, 1.5, 1, 1.5))),
    "flow-tracking": ArmStyle("#0072B2", "v", (0, (1.2, 1.2))),
    "flow-factored": ArmStyle("#D55E00", "D", "-"),
    "flow-labelled": ArmStyle("#CC79A7", "p", (0, (3, 1, 1, 1, 1, 1))),
    INITIALISATION: ArmStyle("#8A8A8A", "x", (0, (1, 3))),
}
CURVE_STYLE = FIXED["flow-factored"]
SPARE = ("#56B4E9", "#882255", "#117733", "#332288", "#999933", "#AA4499")
SPARE_MARKERS = "<>hX*p"
SPARE_LINES = ((0, (6, 2)), (0, (2, 1)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 1)), (0, (8, 2)), "-")


def arm_styles(plan: Plan) -> dict[str, ArmStyle]:
    """The style of every arm: shades along the curve, the fixed ones, then the spare ones."""
    curve = [arm.name for arm in plan.arms if plan.on_curve(arm)]
    others = [arm.name for arm in plan.arms if arm.name not in FIXED and arm.name not in curve]
    spare = {
        name: ArmStyle(
            SPARE[i % len(SPARE)],
            SPARE_MARKERS[i % len(SPARE_MARKERS)],
            SPARE_LINES[i % len(SPARE_LINES)],
        )
        for i, name in enumerate(others)
    }
    return {**FIXED, **spare, **_curve_styles(curve)}


def _curve_styles(arms: list[str]) -> dict[str, ArmStyle]:
    """Light to dark along a scaling curve, which keeps its order in grey."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    shades = colormaps["YlOrBr"]
    positions = [0.35 + 0.6 * i / max(len(arms) - 1, 1) for i in range(len(arms))]
    markers = "o^sDvP*Xph<>"
    return {
        arm: ArmStyle(to_hex(shades(p)), markers[i % len(markers)], "-")
        for i, (arm, p) in enumerate(zip(arms, positions))
    }


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw with the settings above, on a canvas that needs no display."""
    import matplotlib as mpl
    import seaborn as sns

    with sns.axes_style("ticks"), mpl.rc_context(SETTINGS):
        yield


def new_figure(
    rows: int, columns: int, height: float, width: float = PAGE_WIDTH, **sharing: bool | str
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes [rows, columns]; inches; `sharing`: sharex, sharey. Inside the style.

    Made without pyplot, which would keep every figure alive and show it twice in a notebook.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, squeeze=False, **sharing)


def panel_grid(
    count: int, width: float, panel: float, most: int = 3, extra: float = 0.3
) -> tuple[Figure, list]:
    """A figure and `count` axes, as many in a row as the width takes, at most `most`.

    panel: height of a panel in inches; extra: height beside the panels, for a legend.
    """
    columns = min(count, most if width >= PAGE_WIDTH else max(1, round(width / 3.4)))
    rows = -(-count // columns)
    figure, axes = new_figure(rows, columns, panel * rows + extra, width)
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    return figure, list(axes.flat[:count])


def panel_title(first: str, second: str, width: float) -> str:
    """`first: second`, on two lines where panels share a column."""
    return f"{first}: {second}" if width >= PAGE_WIDTH else f"{first}\n{second}"


def stacked_pairs(
    count: int, width: float, height: float, **sharing: str
) -> tuple[Figure, list[tuple]]:
    """`count` pairs of axes (top, bottom): side by side on a page, below each other in a column.

    height: of the two rows on a page, in inches; sharing: sharey, for a page.
    """
    if width >= PAGE_WIDTH:
        figure, axes = new_figure(2, count, height, width, **sharing)
        return figure, list(zip(*axes))
    figure, axes = new_figure(2 * count, 1, 0.85 * height * count + 0.4, width)
    return figure, list(zip(axes[::2, 0], axes[1::2, 0]))


def plain_log_axis(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, written out; fewer over many decades."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = sorted(axis.get_view_interval())
    many = low > 0 and high / low > 300
    axis.set_major_locator(LogLocator(subs=(1.0,) if many else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", length=0)


def legend_below(figure: Figure, width: float) -> None:
    """One legend for all axes, in as many columns as the width takes."""
    found = {}
    for ax in figure.axes:
        found |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels())}
    if not found:
        return
    letters = max(len(label) for label in found) + 6
    columns = max(1, min(len(found), int(width * 72 / (4.0 * letters))))
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns)


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write stem.png (200 dpi) and stem.pdf."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_suffix(".png"), stem.with_suffix(".pdf")]
    with figure_style(), _laid_out(figure):  # resolution and fonts are settings of saving
        figure.savefig(paths[0])
        figure.savefig(paths[1], metadata={"CreationDate": None})  # same figure, same file
    return paths


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Place everything, for good: laying out anew for each file takes as long as drawing it.

    Saving restores the layout engine that the settings ask for, hence the block.
    """
    import matplotlib

    figure.draw_without_rendering()
    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)
        yield


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    with figure_style():
        figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
