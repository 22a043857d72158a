"""Which metrics the report shows where, and how a number is written."""

from __future__ import annotations

from flow3r.evaluation.names import Metric, metric

HEADLINE = ("rra_15", "rra_30", "rta_30", "auc_30", "pointmap_mse", "chamfer")
ABOVE_CHANCE = ("rra_15", "rta_30")  # what every arm must beat to count as having learnt
MOTION = (
    "pointmap_mse_static", "pointmap_mse_moving", "depth_abs_rel_static", "depth_abs_rel_moving",
    "flow_epe_static", "flow_epe_moving",
)  # fmt: skip
FAMILIES = {
    "pose": ("rra_15", "rra_30", "rta_15", "rta_30", "auc_15", "auc_30", "ate",
             "rpe_translation", "rpe_rotation"),
    "pointmap": ("pointmap_mse", "pointmap_mse_static", "pointmap_mse_moving", "chamfer",
                 "f_score_5"),
    "depth": ("depth_abs_rel", "depth_abs_rel_static", "depth_abs_rel_moving"),
    "flow": ("flow_epe", "flow_epe_static", "flow_epe_moving"),
}  # fmt: skip
"""One table each, with a half for every benchmark."""

SHORT_UNITS = ("%", "deg", "px")
ARROWS = {"up": "↑", "down": "↓"}


def heading(name: str) -> str:
    """Label, unit and better direction, for a column or an axis."""
    shown = metric(name)
    unit = f" ({shown.unit})" if shown.unit in SHORT_UNITS else ""
    return f"{shown.label}{unit} {ARROWS[shown.direction]}"


def unit_of_difference(name: str) -> str:
    """What a difference is counted in: points for percentages; nothing for a ratio."""
    unit = metric(name).unit
    return "points" if unit == "%" else unit if unit in SHORT_UNITS else ""


def number(name: str, value: float | None, signed: bool = False, finer: int = 0) -> str:
    """A value with the metric's decimals and `finer` more; an en dash where there is none."""
    if value is None or value != value:
        return "–"
    decimals = metric(name).decimals + finer
    value = round(value, decimals) + 0.0  # no minus sign before a zero
    text = f"{value:{'+' if signed else ''}.{decimals}f}"
    return text.replace("-", "−")


def improvement(name: str, difference: float) -> float:
    """A difference turned so that positive is better."""
    return difference if metric(name).direction == "up" else -difference


__all__ = [
    "ABOVE_CHANCE",
    "FAMILIES",
    "HEADLINE",
    "MOTION",
    "Metric",
    "heading",
    "improvement",
    "metric",
    "number",
    "unit_of_difference",
]
