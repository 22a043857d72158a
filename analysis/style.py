"""One look for all figures: print size, fonts readable at column width, colours safe for
colour-blind readers (Okabe and Ito 2008) and fixed per formulation, with a marker of its own each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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
SPARE = ("#56B4E9", "#882255", "#117733", "#332288", "#999933", "#AA4499")
SPARE_MARKERS = "<>hX*p"


def arm_styles(plan: Plan) -> dict[str, tuple[str, str]]:
    """Colour and marker of every arm; an arm without a fixed one takes the next spare."""
    others = [arm.name for arm in plan.arms if arm.name not in FIXED]
    spare = {
        name: (SPARE[i % len(SPARE)], SPARE_MARKERS[i % len(SPARE_MARKERS)])
        for i, name in enumerate(others)
    }
    return {arm.name: FIXED.get(arm.name) or spare[arm.name] for arm in plan.arms}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw with the settings above, on a canvas that needs no display."""
    import matplotlib as mpl
    import seaborn as sns

    with sns.axes_style("ticks"), mpl.rc_context(SETTINGS):
        yield


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write stem.png (200 dpi) and stem.pdf and close the figure."""
    from matplotlib import pyplot as plt

    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_suffix(".png"), stem.with_suffix(".pdf")]
    figure.savefig(paths[0])
    figure.savefig(paths[1], metadata={"CreationDate": None})  # the same figure, the same file
    plt.close(figure)
    return paths
