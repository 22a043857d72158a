"""Qualitative figures of a finished run, from its exported predictions."""

from experiments.figures.run import draw_run

__all__ = ["draw_run"]
