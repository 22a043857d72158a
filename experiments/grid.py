"""The arms of a sweep as a grid: every combination of its axes' values but the excluded ones.

grid:
  name: "{formulation}-{unlabelled_clips}"     # of an arm
  overrides: [teacher=noisy]                   # of every arm
  axes:
    formulation:                               # each value with overrides of its own
      values: {factored: [formulation=flow-factored], tracking: [formulation=flow-tracking]}
    unlabelled_clips:                          # or each value as that of one setting
      key: data.unlabelled_clips
      values: [0, 64, 256]                     # or, per profile: grid_values: {axis: [...]}
  exclude:                                     # combinations that match all that one line says
    - {formulation: tracking, unlabelled_clips: 0}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from flow3r.config import from_mapping, require, require_choice
from flow3r.errors import ConfigError

Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Axis:
    """What varies: a setting and its values, or values with overrides of their own."""

    key: str = ""
    values: Any = None


@dataclass(frozen=True)
class Grid:
    """The product of axes, the first one outermost."""

    name: str
    axes: dict[str, Axis]
    overrides: tuple[str, ...] = ()
    exclude: tuple[Any, ...] = ()


def grid_arms(mapping: Mapping[str, Any], values: Values) -> dict[str, dict[str, Any]]:
    """Name -> arm of every combination, in order.

    values: of axes that have none of their own. ConfigError names the axis, the value and the
    choices.
    """
    grid = from_mapping(Grid, mapping, "grid")
    for name in values:
        require_choice("grid_values", name, grid.axes)
    points = {name: _points(name, axis, values.get(name)) for name, axis in grid.axes.items()}
    excluded = [_excluded(line, points) for line in grid.exclude]
    arms: dict[str, dict[str, Any]] = {}
    for labels in product(*points.values()):
        chosen = dict(zip(points, labels))
        if any(line.items() <= chosen.items() for line in excluded):
            continue
        arm = _arm_name(grid.name, chosen)
        require(arm not in arms, f"grid.name={grid.name!r}: two arms are called {arm!r}")
        own = [override for axis, label in chosen.items() for override in points[axis][label]]
        arms[arm] = {"overrides": [*grid.overrides, *own]}
    require(bool(arms), "grid.exclude leaves no arm")
    return arms


def _points(name: str, axis: Axis, given: Sequence[Any] | None) -> dict[str, list[str]]:
    """Label -> overrides of every value of an axis."""
    where = f"grid.axes.{name}"
    found = given if given is not None else axis.values
    require(bool(found), f"{where}: values are missing; give them there or in grid_values.{name}")
    if isinstance(found, Mapping):
        require(not axis.key, f"{where}: key={axis.key!r} does not go with overrides per value")
        return {str(label): [str(o) for o in overrides] for label, overrides in found.items()}
    require(bool(axis.key), f"{where}: a list of values needs a key, the setting that they are of")
    labels = ["null" if value is None else str(value) for value in found]
    require(len(set(labels)) == len(labels), f"{where}: values={labels} name one twice")
    return {label: [f"{axis.key}={label}"] for label in labels}


def _excluded(line: Mapping[str, Any], points: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Axis -> label of one line of `exclude`."""
    require(isinstance(line, Mapping) and bool(line), f"grid.exclude: {line!r} names no axis")
    for axis, value in line.items():
        require_choice("grid.exclude: axis", axis, points)
        require_choice(f"grid.exclude: {axis}", str(value), points[axis])
    return {axis: str(value) for axis, value in line.items()}


def _arm_name(template: str, chosen: Mapping[str, str]) -> str:
    try:
        return template.format(**chosen)
    except (KeyError, IndexError, ValueError):
        raise ConfigError(
            f"grid.name={template!r} is not valid; it may name the axes {list(chosen)} in braces"
        ) from None
