"""Which clips a figure shows: by rule, not by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow3r.errors import DataError
from flow3r.evaluation.names import METRICS

CHOICE_METRIC = "pointmap_mse"
"""Defined for every formulation, continuous (few scenes tie), and sensitive to depth and poses."""


@dataclass(frozen=True)
class Choice:
    """A scene, its value of `CHOICE_METRIC` and the place that it was chosen for."""

    place: str  # best, median or worst
    scene: str
    value: float


def choose_scenes(scenes: Sequence[Mapping[str, Any]]) -> list[Choice]:
    """The best, the median and the worst scene by `CHOICE_METRIC`, each scene once.

    `scenes` are the records of one benchmark in evaluation.json. Scenes without a value are left
    out; equal values are ordered by name; of an even number the better middle one is the median.
    Two scenes give best and worst, one gives best. Raises DataError if no scene has a value.
    """
    scored = [(s["metrics"][CHOICE_METRIC], s["scene"]) for s in scenes if _has_value(s)]
    if not scored:
        raise DataError(f"none of {len(scenes)} scenes has a value of {CHOICE_METRIC}")
    sign = 1.0 if METRICS[CHOICE_METRIC].direction == "down" else -1.0
    scored.sort(key=lambda found: (sign * found[0], found[1]))
    places = {0: "best", len(scored) - 1: "worst", (len(scored) - 1) // 2: "median"}
    places[0] = "best"  # of one or two scenes the first is also the median (or the worst)
    return [Choice(places[i], scored[i][1], scored[i][0]) for i in sorted(places)]


def _has_value(scene: Mapping[str, Any]) -> bool:
    return CHOICE_METRIC in scene["metrics"]
