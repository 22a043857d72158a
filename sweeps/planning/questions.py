"""What a sweep asks, stated in its YAML before it runs; checked and resolved when planned.

A question has an id, its words, a metric, a benchmark, the smallest difference of interest (in the
metric's unit), a direction, and exactly one comparison:

- `difference: {arm: A, baseline: B}`: A against B;
- `order: [A, [B, C], D]`: every arm of a tier against every arm of the tiers after it;
- `slope: unlabelled_clips`: the gain per doubling of the clips along the scaling axis.

In a scaling sweep an arm may be named by its place: `{unlabelled: largest}`, `{unlabelled:
smallest}`, or `{unlabelled: 20x}`, the arm whose unlabelled clips come closest to 20 times its
labelled ones. The words may hold {arm}, {baseline}, {ratio} (unlabelled to labelled clips of the
arm) and {labels} (labelled clips of the baseline to those of the arm).

Directions: `better` (by the smallest difference of interest), `not-worse` (by it), `equal` (within
it). Questions of one `family` are answered together, corrected for their number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Protocol

from experiments.rundir import now
from flow3r.config import from_mapping, require, require_choice
from flow3r.errors import ConfigError
from flow3r.evaluation.names import metric

DIRECTIONS = ("better", "not-worse", "equal")
COMPARISONS = ("difference", "order", "slope")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TIMES = re.compile(r"(\d+(?:\.\d+)?)x")


class PlannedArm(Protocol):
    """What a question needs to know of an arm."""

    name: str
    labelled_clips: int
    unlabelled_clips: int
    yardstick: bool


@dataclass(frozen=True)
class QuestionConfig:
    """One entry of `questions` in a sweep's YAML."""

    id: str
    question: str
    metric: str
    benchmark: str
    smallest_difference: float
    direction: str = "better"
    family: str | None = None
    difference: dict[str, Any] | None = None
    order: tuple[Any, ...] | None = None
    slope: str | None = None

    def __post_init__(self) -> None:
        require(bool(_ID.fullmatch(self.id)), f"id={self.id!r}: use lower case, digits and hyphens")
        metric(self.metric)
        require(
            self.smallest_difference >= 0,
            f"smallest_difference={self.smallest_difference} must not be negative",
        )
        require_choice("direction", self.direction, DIRECTIONS)
        given = [name for name in COMPARISONS if getattr(self, name) is not None]
        require(len(given) == 1, f"state exactly one of {COMPARISONS}, not {given}")
        require(
            self.difference is not None or self.direction == "better",
            f"direction={self.direction!r} belongs to a difference; order and slope ask for better",
        )
        require(
            self.direction == "better" or self.smallest_difference > 0,
            f"direction={self.direction!r} needs a smallest_difference above 0",
        )


def resolve_questions(
    sweep: Mapping[str, Any], arms: Sequence[PlannedArm], benchmarks: Sequence[str]
) -> tuple[dict[str, Any], ...]:
    """The sweep's questions for plan.json, with arms in place of their descriptions.

    For a sweep that states none, the report asks whether its headline arm beats the headline
    baseline at all. ConfigError names what is unknown, and the choices.
    """
    raw = sweep.get("questions") or ()
    resolver = _Resolver(sweep.get("scaling"), arms, benchmarks)
    found = []
    for i, entry in enumerate(raw):
        where = f"questions[{i}]"
        question = from_mapping(QuestionConfig, entry, where)
        try:
            found.append(resolver.resolve(question))
        except ConfigError as error:
            raise ConfigError(f"{where} ({question.id}): {error}") from None
    ids = [question["id"] for question in found]
    require(len(set(ids)) == len(ids), f"questions: an id is used twice in {ids}")
    return tuple(found)


def stated(
    questions: Sequence[Mapping[str, Any]], before: Mapping[str, Any] | None, finished: int
) -> dict[str, Any]:
    """When the questions were first stated, and how many runs were finished by then.

    `before`: the plan recorded earlier, whose statement stands while its questions are the same.
    """
    if before is not None and before.get("questions") == list(questions):
        return before["questions_stated"]  # recorded together
    return {"time": now(), "finished_runs": finished}


class _Resolver:
    def __init__(
        self,
        scaling: Mapping[str, Any] | None,
        arms: Sequence[PlannedArm],
        benchmarks: Sequence[str],
    ) -> None:
        self._scaling, self._benchmarks = scaling, list(benchmarks)
        self._arms = {arm.name: arm for arm in arms}
        self._curve = [arm for arm in arms if self._on_curve(arm)]

    def resolve(self, question: QuestionConfig) -> dict[str, Any]:
        require_choice("benchmark", question.benchmark, self._benchmarks)
        kept = ("id", "question", "metric", "benchmark", "smallest_difference", "direction")
        record = {name: getattr(question, name) for name in kept}
        if question.family is not None:
            record["family"] = question.family
        words: dict[str, str] = {}
        if question.difference is not None:
            record["difference"], words = self._difference(question.difference)
        elif question.order is not None:
            record["order"] = self._order(question.order)
        else:
            axes = [self._scaling["axis"]] if self._scaling else []
            require_choice("slope", question.slope, axes)
            record["slope"] = question.slope
        return {**record, "question": _filled(question.question, words)}

    def _difference(self, raw: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        require(set(raw) == {"arm", "baseline"}, f"difference={raw}: it has an arm and a baseline")
        arm, baseline = self._arm(raw["arm"]), self._arm(raw["baseline"])
        require(arm is not baseline, f"difference={raw}: an arm cannot be compared with itself")
        words = {
            "arm": arm.name,
            "baseline": baseline.name,
            "ratio": _ratio(arm.unlabelled_clips, arm.labelled_clips),
            "labels": _ratio(baseline.labelled_clips, arm.labelled_clips),
        }
        return {"arm": arm.name, "baseline": baseline.name}, words

    def _order(self, raw: Sequence[Any]) -> list[list[str]]:
        tiers = [tier if isinstance(tier, (list, tuple)) else [tier] for tier in raw]
        names = [[self._arm(arm).name for arm in tier] for tier in tiers]
        flat = [name for tier in names for name in tier]
        require(len(names) > 1, f"order={list(raw)}: an order has at least two tiers")
        require(len(set(flat)) == len(flat), f"order={list(raw)}: an arm stands in it twice")
        return names

    def _arm(self, reference: Any) -> PlannedArm:
        if not isinstance(reference, Mapping):
            require_choice("arm", reference, self._arms)
            return self._arms[reference]
        place = reference.get("unlabelled")
        require(
            set(reference) == {"unlabelled"} and isinstance(place, str),
            f"arm={dict(reference)}: write a name, or {{unlabelled: largest | smallest | 20x}}",
        )
        require(bool(self._curve), f"unlabelled={place!r}: the sweep has no scaling axis")
        if place in ("largest", "smallest"):
            choose = max if place == "largest" else min
            return choose(self._curve, key=lambda arm: arm.unlabelled_clips)
        times = _TIMES.fullmatch(place)
        require(times is not None, f"unlabelled={place!r}: write largest, smallest or 20x")
        return self._nearest(float(times.group(1)))

    def _nearest(self, wanted: float) -> PlannedArm:
        """The arm whose ratio of unlabelled to labelled clips is nearest on a log scale."""
        some = [arm for arm in self._curve if arm.unlabelled_clips and arm.labelled_clips]
        require(bool(some) and wanted > 0, f"unlabelled={wanted:g}x: no arm has unlabelled clips")
        ratios = {arm.name: arm.unlabelled_clips / arm.labelled_clips for arm in some}
        return min(some, key=lambda arm: abs(log(ratios[arm.name] / wanted)))

    def _on_curve(self, arm: PlannedArm) -> bool:
        return (
            self._scaling is not None
            and arm.name.startswith(self._scaling["arm_prefix"])
            and not arm.yardstick
        )


def _ratio(count: int, labelled: int) -> str:
    return f"{count / labelled:.3g}" if labelled else "–"


def _filled(text: str, words: Mapping[str, str]) -> str:
    try:
        return " ".join(text.format(**words).split())
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"question={text!r}: unknown placeholder ({error}); known here: {sorted(words)}"
        ) from None
