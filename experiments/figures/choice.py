"""Which clips a figure shows: by rule, not by eye."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow3r.errors import DataError
from flow3r.evaluation.names import METRICS

CHOICE_METRIC = "pointmap_mse"
"""Defined for every formulation, continuous (few scenes tie), and sensitive to depth and poses."""

MARGIN = 14  # letters that fit beside a row


@dataclass(frozen=True)
class Choice:
    """A scene, its value of `CHOICE_METRIC` and the place that it was chosen for.

    arm: whose value it is, where a figure shows more than one.
    """

    place: str  # best, median or worst
    scene: str
    value: float
    arm: str = ""

    @property
    def label(self) -> str:
        """Lines for the margin of its row."""
        arm = textwrap.wrap(self.arm, MARGIN)  # broken at hyphens
        lines = [self.place, self.scene.rpartition("/")[2], *arm, f"MSE {self.value:.2g}"]
        return "\n".join(line for line in lines if line)


def choose_scenes(scenes: Sequence[Mapping[str, Any]]) -> list[Choice]:
    """The best, the median and the worst scene by `CHOICE_METRIC`, each scene once.

    `scenes` are the records of one benchmark in evaluation.json. Scenes without a value are left
    out; equal values are ordered by name; of an even number the better middle one is the median.
    Two scenes give best and worst, one gives best. Raises DataError if no scene has a value.
    """
    scored = _values(scenes)
    if not scored:
        raise DataError(f"none of {len(scenes)} scenes has a value of {CHOICE_METRIC}")
    return [Choice(place, scene, scored[scene]) for place, scene in _places(scored)]


def choose_by_difference(
    arm: Sequence[Sequence[Mapping[str, Any]]], baseline: Sequence[Sequence[Mapping[str, Any]]]
) -> list[tuple[str, str]]:
    """(place, scene) where an arm gains most on its baseline, gains the median, and loses most.

    Each argument holds the records of one benchmark for the same seeds in the same order. What is
    ordered is the paired difference of `CHOICE_METRIC`, averaged over the seeds; a scene must have
    a value in every run. Raises DataError if none has.
    """
    pairs = [(_values(a), _values(b)) for a, b in zip(arm, baseline, strict=True)]
    shared = set.intersection(*(set(found) for pair in pairs for found in pair))
    if not shared:
        raise DataError(f"no scene has a value of {CHOICE_METRIC} in all of {len(pairs)} pairs")
    differences = {
        scene: sum(a[scene] - b[scene] for a, b in pairs) / len(pairs) for scene in shared
    }
    return _places(differences)


def _places(values: Mapping[str, float]) -> list[tuple[str, str]]:
    """Best, median and worst of scenes by their value, in the metric's direction."""
    sign = 1.0 if METRICS[CHOICE_METRIC].direction == "down" else -1.0
    ordered = sorted(values, key=lambda scene: (sign * values[scene], scene))
    places = {0: "best", len(ordered) - 1: "worst", (len(ordered) - 1) // 2: "median"}
    places[0] = "best"  # of one or two scenes the first is also the median (or the worst)
    return [(places[i], ordered[i]) for i in sorted(places)]


def _values(scenes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    metrics = {row["scene"]: row["metrics"] for row in scenes}
    return {s: found[CHOICE_METRIC] for s, found in metrics.items() if CHOICE_METRIC in found}
