"""Which metrics the report shows where, and how a number is written."""

from __future__ import annotations

from flow3r.evaluation.names import Metric, metric

HEADLINE = ("rra_15", "rra_30", "rta_30", "auc_30", "pointmap_mse", "chamfer")
ABOVE_CHANCE = ("rra_15", "rta_30")  # what every arm must beat to count as having learnt
MOTION = (
    "pointmap_mse_static", "pointmap_mse_moving", "depth_abs_rel_static", "depth_abs_rel_moving",
    "flow_epe_static", "flow_epe_moving",
)  # fmt: skip
ARROWS = {"up": "↑", "down": "↓"}


def heading(name: str) -> str:
    """Label, unit and better direction, for a column or an axis."""
    shown = metric(name)
    unit = f" ({shown.unit})" if shown.unit in ("%", "deg", "px") else ""
    return f"{shown.label}{unit} {ARROWS[shown.direction]}"


def unit_of_difference(name: str) -> str:
    """What a difference is counted in: percentage points for percentages."""
    unit = metric(name).unit
    return "points" if unit == "%" else unit


def number(name: str, value: float | None, signed: bool = False) -> str:
    """A value with the metric's decimals; an en dash where there is none."""
    if value is None or value != value:
        return "–"
    text = f"{value:{'+' if signed else ''}.{metric(name).decimals}f}"
    return text.replace("-", "−")


def improvement(name: str, difference: float) -> float:
    """A difference turned so that positive is better."""
    return difference if metric(name).direction == "up" else -difference


__all__ = [
    "ABOVE_CHANCE",
    "HEADLINE",
    "MOTION",
    "Metric",
    "heading",
    "improvement",
    "metric",
    "number",
    "unit_of_difference",
]
