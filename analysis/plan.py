"""The frozen plan of a sweep, as `sweeps` wrote it: which arms, seeds and runs there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.questions import Question, headline_questions, question_from
from flow3r.errors import DataError
from flow3r.files import read_json

INITIALISATION = "initialisation"  # the arm of zero training steps: a yardstick, never compared


@dataclass(frozen=True)
class Arm:
    """One arm; the clip counts are None where the plan does not state them.

    baseline: the arm that this one is compared with, where it is not the plan's.
    """

    name: str
    formulation: str
    unlabelled_clips: int | None
    labelled_clips: int | None
    yardstick: bool
    baseline: str | None = None


@dataclass(frozen=True)
class Headline:
    """The one comparison that answers the sweep's question."""

    arm: str
    baseline: str
    benchmark: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class PlannedRun:
    """One run of the plan."""

    arm: str
    seed: int
    run_id: str


@dataclass(frozen=True)
class Plan:
    """A sweep's plan.

    scaling_prefix: None, or the prefix of the arms on the scaling curve. questions: those of the
    sweep, else whether the headline arm is better at all. asked_after: how many runs were finished
    when the questions were stated; None where that is not known. benchmarks: what the sweep is
    about; None in plans that do not say so: whatever its runs are scored on.
    """

    sweep: str
    profile: str
    question: str
    baseline: str
    headline: Headline
    arms: tuple[Arm, ...]
    runs: tuple[PlannedRun, ...]
    scaling_prefix: str | None = None
    git_commit: str | None = None
    questions: tuple[Question, ...] = ()
    asked_after: int | None = None
    benchmarks: tuple[str, ...] | None = None

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise DataError(f"arm {name!r} is not in the plan; it has {[a.name for a in self.arms]}")

    def baseline_of(self, arm: str) -> str:
        """The arm that an arm is compared with: its own baseline, or the plan's."""
        return self.arm(arm).baseline or self.baseline

    def seeds(self, arm: str) -> set[int]:
        """The seeds planned for an arm."""
        return {run.seed for run in self.runs if run.arm == arm}

    def on_curve(self, arm: Arm) -> bool:
        """Whether the arm is a point of the scaling curve (yardsticks stand beside it)."""
        prefix = self.scaling_prefix
        return prefix is not None and arm.name.startswith(prefix) and not arm.yardstick


def plan_path(output_dir: Path, sweep: str) -> Path:
    """Where the plan of a sweep lies."""
    return output_dir / "reports" / sweep / "plan.json"


def read_plan(output_dir: Path, sweep: str) -> Plan:
    """Read and check a plan; DataError when it is missing, damaged or contradicts itself."""
    path = plan_path(output_dir, sweep)
    if not path.is_file():
        known = sorted(p.parent.name for p in output_dir.glob("reports/*/plan.json"))
        raise DataError(
            f"no plan of sweep {sweep!r} at {path}; sweeps planned under {output_dir}: {known}"
        )
    try:
        plan = _plan_from(read_json(path))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: not a valid plan ({type(error).__name__}: {error})") from None
    return plan


def _plan_from(raw: Mapping[str, Any]) -> Plan:
    headline = raw["headline"]
    scaling = raw.get("scaling")
    asked = (headline["arm"], headline["baseline"], headline["benchmark"])
    metrics = tuple(headline["metrics"])
    questions = tuple(question_from(question) for question in raw.get("questions") or ())
    plan = Plan(
        sweep=raw["sweep"],
        profile=raw["profile"],
        question=raw.get("question") or "",
        baseline=raw["baseline"],
        headline=Headline(*asked, metrics),
        arms=tuple(_arm_from(arm) for arm in raw["arms"]),
        runs=_distinct(PlannedRun(r["arm"], int(r["seed"]), r["run_id"]) for r in raw["runs"]),
        scaling_prefix=scaling["arm_prefix"] if scaling else None,
        git_commit=raw.get("git_commit"),
        questions=questions or headline_questions(*asked, metrics),
        asked_after=(raw.get("questions_stated") or {}).get("finished_runs"),
        benchmarks=tuple(raw["benchmarks"]) if "benchmarks" in raw else None,
    )
    _check(plan)
    return plan


def _arm_from(raw: Mapping[str, Any]) -> Arm:
    return Arm(
        name=raw["arm"],
        formulation=raw["formulation"],
        unlabelled_clips=raw.get("unlabelled_clips"),
        labelled_clips=raw.get("labelled_clips"),
        yardstick=bool(raw.get("yardstick", False)),
        baseline=raw.get("baseline"),
    )


def _distinct(runs: Any) -> tuple[PlannedRun, ...]:
    """The same line twice is one run."""
    return tuple(dict.fromkeys(runs))


def _check(plan: Plan) -> None:
    names = [arm.name for arm in plan.arms]
    if len(set(names)) != len(names):
        raise DataError(f"arms={names}: an arm is named twice")
    if not plan.headline.metrics:
        raise DataError("headline.metrics is empty; name at least one metric")
    for where, name in [
        ("baseline", plan.baseline),
        ("headline.arm", plan.headline.arm),
        ("headline.baseline", plan.headline.baseline),
        *((f"baseline of {arm.name}", arm.baseline) for arm in plan.arms if arm.baseline),
        *(("runs", run.arm) for run in plan.runs),
        *((f"question {q.id}", arm) for q in plan.questions for arm in sum(q.pairs(), ())),
    ]:
        if name not in names:
            raise DataError(f"{where}: unknown arm {name!r}; the plan has {names}")
    if plan.scaling_prefix is None and any(question.slope for question in plan.questions):
        raise DataError("a question asks for a slope, and the plan has no scaling axis")
    seen: dict[tuple[str, int], str] = {}
    seeds_of: dict[tuple[str, str], int] = {}
    for run in plan.runs:
        first = seen.setdefault((run.arm, run.seed), run.run_id)
        if first != run.run_id:
            raise DataError(
                f"arm {run.arm!r}, seed {run.seed}: planned twice, as {first} and {run.run_id}"
            )
        seed = seeds_of.setdefault((run.arm, run.run_id), run.seed)
        if seed != run.seed:
            raise DataError(
                f"arm {run.arm!r}: run {run.run_id} stands for seeds {seed} and {run.seed}; "
                "one run counts once"
            )
