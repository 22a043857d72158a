"""A sweep's questions, as its plan.json records them (checked by `sweeps.planning.questions`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from flow3r.errors import DataError
from flow3r.evaluation.names import metric

BETTER, NOT_WORSE, EQUAL = DIRECTIONS = ("better", "not-worse", "equal")


@dataclass(frozen=True)
class Question:
    """Exactly one of `difference` (arm, baseline), `order` (tiers of arms) and `slope` is given.

    smallest_difference: of interest, in the metric's unit; for a slope, per doubling.
    family: questions of one family are corrected together; None stands alone.
    """

    id: str
    question: str
    metric: str
    benchmark: str
    smallest_difference: float
    direction: str = BETTER
    family: str | None = None
    difference: tuple[str, str] | None = None
    order: tuple[tuple[str, ...], ...] | None = None
    slope: str | None = None

    def pairs(self) -> list[tuple[str, str]]:
        """(arm, baseline) of every claimed advantage; none for a slope."""
        if self.difference is not None:
            return [self.difference]
        tiers = combinations(self.order or (), 2)
        return [pair for first, later in tiers for pair in product(first, later)]


def question_from(raw: Mapping[str, Any]) -> Question:
    """Read one entry of plan.json; DataError where it is not what a planner writes."""
    difference = raw.get("difference")
    order = raw.get("order")
    question = Question(
        id=raw["id"],
        question=raw["question"],
        metric=raw["metric"],
        benchmark=raw["benchmark"],
        smallest_difference=float(raw["smallest_difference"]),
        direction=raw.get("direction", BETTER),
        family=raw.get("family"),
        difference=(difference["arm"], difference["baseline"]) if difference else None,
        order=tuple(tuple(tier) for tier in order) if order else None,
        slope=raw.get("slope"),
    )
    metric(question.metric)
    given = [question.difference, question.order, question.slope]
    if sum(part is not None for part in given) != 1:
        raise DataError(f"question {question.id!r}: exactly one comparison is needed, got {given}")
    if question.direction not in DIRECTIONS:
        raise DataError(
            f"question {question.id!r}: direction={question.direction!r}; choose from {DIRECTIONS}"
        )
    return question


def headline_questions(
    arm: str, baseline: str, benchmark: str, metrics: tuple[str, ...]
) -> tuple[Question, ...]:
    """Of a sweep that states none: is the headline arm better at all, metric by metric?"""
    family = "headline" if len(metrics) > 1 else None
    return tuple(
        Question(
            f"headline-{name}",
            f"Is {arm} better than {baseline} on the {benchmark} scenes, by {metric(name).label}?",
            name,
            benchmark,
            0.0,
            BETTER,
            family,
            (arm, baseline),
        )
        for name in metrics
    )
