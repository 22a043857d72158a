"""The exact teacher: the flow and covisibility that a generated clip knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from flow3r.errors import DataError
from flow3r.teachers.base import ExactFlow, FlowLabels, Teacher, check_clip


@dataclass(frozen=True)
class ExactTeacher(Teacher):
    """Passes the truth through; it cannot label real video."""

    name: ClassVar[str] = "exact"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    def label(
        self, frames: Tensor, pairs: Tensor, *, truth: ExactFlow | None = None, index: int = 0
    ) -> FlowLabels:
        return exact_labels(self.name, frames, pairs, truth)


def exact_labels(
    teacher: str, frames: Tensor, pairs: Tensor, truth: ExactFlow | None
) -> FlowLabels:
    """The truth as labels. Raises DataError where there is none (real video)."""
    check_clip(frames, pairs)
    if truth is None:
        raise DataError(
            f"teacher={teacher!r} needs clips with exact flow (generated ones); "
            "label real video with teacher='dis'"
        )
    target_px, covisibility = truth(pairs)
    return FlowLabels(target_px.float(), covisibility.float())
