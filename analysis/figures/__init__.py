"""The figures of a report, one file per kind. matplotlib is imported on first use: it takes
seconds.

Every function takes a width in inches and arranges its panels for it: `style.PAGE_WIDTH` for a
page, `style.COLUMN_WIDTH` for a column or a phone.
"""

from analysis.figures.conditions import conditions_figure
from analysis.figures.differences import forest_figure
from analysis.figures.learning import (
    curve_band,
    learning_figure,
    training_curves,
    validation_curves,
)
from analysis.figures.profiles import improvement_figure, profile_figure
from analysis.figures.scaling import gain_figure, scaling_figure
from analysis.figures.scenes import scene_figure

__all__ = [
    "conditions_figure",
    "curve_band",
    "forest_figure",
    "gain_figure",
    "improvement_figure",
    "learning_figure",
    "profile_figure",
    "scaling_figure",
    "scene_figure",
    "training_curves",
    "validation_curves",
]
