"""Qualitative figures of finished runs, from their exported predictions."""

from experiments.figures.comparison import Side, draw_comparison
from experiments.figures.run import draw_run

__all__ = ["Side", "draw_comparison", "draw_run"]
