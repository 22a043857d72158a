"""One look for all figures: print size, fonts readable at column width, colours safe for
colour-blind readers (Okabe and Ito 2008) and fixed per formulation, with a marker of its own each.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.plan import INITIALISATION, Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_WIDTH = 7.0  # inches: the text width of a two-column page
SETTINGS = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # editable text; some venues refuse the default type 3
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}
FIXED = {
    "3d-sup": ("#4D4D4D", "o"),
    "3d-sup++": ("#009E73", "s"),
    "flow-projective": ("#E69F00", "^"),
    "flow-tracking": ("#0072B2", "v"),
    "flow-factored": ("#D55E00", "D"),
    "flow-labelled": ("#CC79A7", "P"),
    INITIALISATION: ("#9A9A9A", "x"),
}
CURVE_STYLE = FIXED["flow-factored"]
SPARE = ("#56B4E9", "#882255", "#117733", "#332288", "#999933", "#AA4499")
SPARE_MARKERS = "<>hX*p"


def arm_styles(plan: Plan) -> dict[str, tuple[str, str]]:
    """Colour and marker of every arm: the curve's shades, the fixed ones, then the spare ones."""
    curve = [arm.name for arm in plan.arms if plan.on_curve(arm)]
    others = [arm.name for arm in plan.arms if arm.name not in FIXED and arm.name not in curve]
    spare = {
        name: (SPARE[i % len(SPARE)], SPARE_MARKERS[i % len(SPARE_MARKERS)])
        for i, name in enumerate(others)
    }
    return {**FIXED, **spare, **_curve_styles(curve)}


def _curve_styles(arms: list[str]) -> dict[str, tuple[str, str]]:
    """Light to dark along a scaling curve."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    shades = colormaps["YlOrBr"]
    positions = [0.35 + 0.6 * i / max(len(arms) - 1, 1) for i in range(len(arms))]
    return {arm: (to_hex(shades(p)), CURVE_STYLE[1]) for arm, p in zip(arms, positions)}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw with the settings above, on a canvas that needs no display."""
    import matplotlib as mpl
    import seaborn as sns

    with sns.axes_style("ticks"), mpl.rc_context(SETTINGS):
        yield


def new_figure(
    rows: int, columns: int, height: float, sharey: bool = False
) -> tuple[Figure, np.ndarray]:
    """A page-wide figure and its axes [rows, columns]; height in inches. Call inside the style.

    Made without pyplot, which would keep every figure alive and show it twice in a notebook.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE_WIDTH, height))
    return figure, figure.subplots(rows, columns, sharey=sharey, squeeze=False)


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write stem.png (200 dpi) and stem.pdf."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_suffix(".png"), stem.with_suffix(".pdf")]
    with figure_style():  # resolution and fonts are settings of saving, not of drawing
        figure.savefig(paths[0])
        figure.savefig(paths[1], metadata={"CreationDate": None})  # same figure, same file
    return paths


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    with figure_style():
        figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
