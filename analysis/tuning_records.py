"""A tuning as `sweeps/tuning` recorded it: every candidate of every formulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

from flow3r.errors import DataError
from flow3r.evaluation.names import metric
from flow3r.files import read_json

SWEEP = "tuning"


@dataclass(frozen=True)
class Setting:
    """A tuned setting; `name` is the override that sets it."""

    name: str
    label: str
    low: float
    high: float
    default: float


@dataclass(frozen=True)
class Trial:
    """A candidate of a formulation.

    rungs: the metric at each rung, score: at the end; None where it was not measured. failed: why.
    steps, train_seconds, seconds: spent.
    """

    candidate: int
    arm: str
    default: bool
    values: Mapping[str, float]
    rungs: tuple[float | None, ...]
    score: float | None
    dropped: bool
    failed: str | None
    steps: int
    train_seconds: float
    seconds: float

    @property
    def compared(self) -> float | None:
        """Where all candidates were measured: at the first rung, or at the end without rungs."""
        return self.rungs[0] if self.rungs else self.score


@dataclass(frozen=True)
class Formulation:
    """All candidates of a formulation, by number. importance: setting -> share, if computed."""

    name: str
    trials: tuple[Trial, ...]
    chosen: Trial | None
    importance: Mapping[str, float] | None

    @property
    def default(self) -> Trial:
        """The candidate that has the default values."""
        return next(trial for trial in self.trials if trial.default)

    @property
    def compared(self) -> list[float]:
        """The values of all candidates that have one, where all were measured."""
        return [t.compared for t in self.trials if t.compared is not None]


@dataclass(frozen=True)
class Tuning:
    """The content of trials.json. budget, scenes: as the planner wrote them."""

    profile: str
    metric: str
    benchmark: str
    overrides: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    formulations: tuple[Formulation, ...]
    budget: Mapping[str, Any]
    scenes: Mapping[str, Mapping[str, Any]]
    git_commit: str | None

    @property
    def complete(self) -> bool:
        """Whether every formulation has its values."""
        return all(formulation.chosen is not None for formulation in self.formulations)

    @property
    def compared_at(self) -> int:
        """The step at which all candidates were measured."""
        return (*self.budget["rungs"], self.budget["total_steps"])[0]


def load_tuning(output_dir: Path) -> Tuning:
    """Read trials.json; DataError where there is none or it is damaged."""
    path = output_dir / "reports" / SWEEP / "trials.json"
    if not path.is_file():
        raise DataError(f"no record of sweep={SWEEP} at {path}; the sweep writes it when it ends")
    try:
        return _tuning_from(read_json(path))
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration) as error:
        raise DataError(f"{path}: not a valid record ({type(error).__name__}: {error})") from None


def best_of(values: list[float], count: int, name: str) -> float:
    """The expected best of `count` of the values, drawn without putting back; exact.

    Of the draws, C(i - 1, count - 1) of C(n, count) have the i-th worst value as their best.
    """
    ordered = sorted(values, reverse=metric(name).direction == "down")
    draws = comb(len(ordered), count)
    return sum(comb(i, count - 1) * value for i, value in enumerate(ordered)) / draws


def _tuning_from(raw: Mapping[str, Any]) -> Tuning:
    metric(raw["metric"])
    return Tuning(
        profile=raw["profile"],
        metric=raw["metric"],
        benchmark=raw["benchmark"],
        overrides=tuple(raw["overrides"]),
        seeds=tuple(raw["seeds"]),
        settings=tuple(Setting(name=name, **entry) for name, entry in raw["space"].items()),
        formulations=tuple(_formulation(*item) for item in raw["formulations"].items()),
        budget=raw["budget"],
        scenes=raw["scenes"],
        git_commit=raw["git_commit"],
    )


def _formulation(name: str, raw: Mapping[str, Any]) -> Formulation:
    trials = tuple(_trial(entry) for entry in raw["trials"])
    best = raw["chosen"]
    chosen = None if best is None else next(t for t in trials if t.candidate == best)
    if sum(trial.default for trial in trials) != 1:
        raise ValueError(f"{name}: exactly one candidate has the default values")
    return Formulation(name, trials, chosen, raw["importance"])


def _trial(raw: Mapping[str, Any]) -> Trial:
    names = [name for name in Trial.__dataclass_fields__ if name != "rungs"]
    return Trial(rungs=tuple(raw["rungs"]), **{name: raw[name] for name in names})
