"""The canonical metric names, and what a table needs to know about each. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flow3r.errors import ConfigError

_NAME = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)*")

ANGLES = (5, 15, 30)
"""Thresholds in degrees of the relative-pose metrics."""


@dataclass(frozen=True)
class Metric:
    """One metric of a scene."""

    name: str
    label: str
    """For tables and axes."""
    unit: str
    """'%', 'deg', 'px', or what the number is a multiple of; '' for a plain ratio."""
    direction: str
    """'up': larger is better; 'down': smaller is better."""
    decimals: int
    """Digits after the point in a table."""
    undefined_for: str
    """The scenes that have no value; '' if every scene has one."""

    def better(self, first: float, second: float) -> bool:
        """Whether `first` is strictly better than `second`."""
        return first > second if self.direction == "up" else first < second


_STILL = "scenes in which no pair of cameras has a translation"
_SHORT = "scenes of fewer than 3 frames, or with camera centres on one line"
_EMPTY = "scenes without a pixel of known depth"
_FEW = "scenes with fewer pixels of known depth than a normal needs"
_NO_FLOW = "models without a flow prediction, and scenes without a covisible pixel"
_SPLITS = (("", "", ""), ("_moving", ", moving", "moving"), ("_static", ", static", "static"))


def _angular() -> list[Metric]:
    families = (("rra", "RRA", ""), ("rta", "RTA", _STILL), ("auc", "AUC", _STILL))
    return [
        Metric(f"{name}_{angle}", f"{label}@{angle}", "%", "up", 1, undefined)
        for name, label, undefined in families
        for angle in ANGLES
    ]


def _split(name: str, label: str, unit: str, decimals: int, undefined: str) -> list[Metric]:
    return [
        Metric(
            name + suffix,
            label + title,
            unit,
            "down",
            decimals,
            f"{undefined}; scenes without a {share} one" if share else undefined,
        )
        for suffix, title, share in _SPLITS
    ]


_DISTANCE = "of the mean point distance"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in [
        *_angular(),
        Metric("ate", "ATE", "scene units", "down", 4, _SHORT),
        Metric("rpe_translation", "RPE translation", "scene units", "down", 4, _SHORT),
        Metric("rpe_rotation", "RPE rotation", "deg", "down", 3, _SHORT),
        *_split("pointmap_mse", "pointmap MSE", _DISTANCE + ", squared", 4, _EMPTY),
        Metric("chamfer", "Chamfer distance", _DISTANCE, "down", 4, _EMPTY),
        Metric("f_score_5", "F-score@5%", "%", "up", 1, _EMPTY),
        *_split("depth_abs_rel", "depth AbsRel", "", 4, _EMPTY),
        *_split("flow_epe", "flow EPE", "px", 2, _NO_FLOW),
    ]
}
"""Every metric of a run by its name, in the order of the tables."""

_LENGTH = "scene units"

BENCHMARK_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in [
        Metric("f_score_5cm", "F-score@5cm", "%", "up", 1, _EMPTY + "; truth that is not metric"),
        Metric("accuracy", "accuracy", _LENGTH, "down", 4, _EMPTY),
        Metric("accuracy_median", "accuracy, median", _LENGTH, "down", 4, _EMPTY),
        Metric("completeness", "completeness", _LENGTH, "down", 4, _EMPTY),
        Metric("completeness_median", "completeness, median", _LENGTH, "down", 4, _EMPTY),
        Metric("normal_consistency", "normal consistency", "", "up", 3, _FEW),
        Metric("normal_consistency_median", "normal consistency, median", "", "up", 3, _FEW),
        Metric("chamfer_icp", "Chamfer distance, ICP", _LENGTH, "down", 4, _EMPTY),
        Metric("depth_sq_rel", "depth SqRel", _LENGTH, "down", 4, _EMPTY),
        Metric("depth_rmse", "depth RMSE", _LENGTH, "down", 3, _EMPTY),
        Metric("depth_log_rmse", "depth log RMSE", "", "down", 4, _EMPTY),
        Metric("depth_delta_1", "depth delta < 1.25", "%", "up", 1, _EMPTY),
        Metric("depth_delta_2", "depth delta < 1.25^2", "%", "up", 1, _EMPTY),
        Metric("depth_delta_3", "depth delta < 1.25^3", "%", "up", 1, _EMPTY),
    ]
}
"""What only the protocols of published benchmarks record, beside some of `METRICS`."""


@dataclass(frozen=True)
class Covariate:
    """A property of a scene's truth, for the axis that an error is plotted against."""

    name: str
    label: str
    unit: str


COVARIATES: dict[str, Covariate] = {
    covariate.name: covariate
    for covariate in [
        Covariate("moving_share", "pixels on moving objects", "%"),
        Covariate("covisibility", "covisible pixels", "%"),
        Covariate("flow_length", "mean true flow", "px"),
        Covariate("camera_rotation", "camera rotation", "deg"),
    ]
}
"""Every covariate by its name. Shares are of the pixels with known depth (all frames) and of all
pixels (all pairs); the flow is over covisible pixels; the rotation the mean over pairs."""


def metric(name: str) -> Metric:
    """The metric called `name`. Raises ConfigError, with the choices, for an unknown name."""
    known = METRICS | BENCHMARK_METRICS
    if name not in known:
        raise ConfigError(f"metric {name!r} is unknown; choose one of {list(known)}")
    return known[name]


def check_name(name: str) -> str:
    """Return `name` if it may name a logged quantity: lower case, digits, `_`, `/` only.

    MLflow refuses some other characters and tolerates the rest differently per backend. Raises
    ConfigError.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a metric; use lower-case letters, digits, '_' and, between "
            "parts, '/'"
        )
    return name
