"""A sweep and the overrides of the command line, expanded into runs and stages (pure, ordered)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow3r.errors import ConfigError

Spec = dict[str, Any]


@dataclass(frozen=True)
class Experiments:
    """What the planner needs of `experiments`: compose a spec, name it, list its stages."""

    compose: Callable[[list[str]], Any]
    """Overrides -> an object with `spec`, `runtime` (device, threads) and `cost` (estimates)."""
    run_id: Callable[[Spec], str]
    required_stages: Callable[[Spec], Sequence[Any]]


@dataclass(frozen=True)
class PlannedStage:
    """A shared stage; `name` is also its folder in `<output_dir>/stages`."""

    name: str
    kind: str
    spec: Spec
    depends_on: tuple[str, ...]


@dataclass(frozen=True)
class PlannedRun:
    """One training run; several arms may name the same one."""

    run_id: str
    arms: tuple[str, ...]
    seed: int
    spec: Spec
    depends_on: tuple[str, ...]


@dataclass(frozen=True)
class Arm:
    """The facts of an arm that the report needs."""

    name: str
    formulation: str
    labelled_clips: int
    unlabelled_clips: int
    yardstick: bool


@dataclass(frozen=True)
class Entry:
    """One cell of the sweep: an arm, a seed, and the run that answers for it."""

    arm: str
    seed: int
    run_id: str


@dataclass(frozen=True)
class Plan:
    """Everything a sweep will do, in the order in which it would do it on one slot."""

    sweep: str
    profile: str
    question: str
    baseline: str
    headline: Mapping[str, Any]
    scaling: Mapping[str, Any] | None
    overrides: tuple[str, ...]
    arms: tuple[Arm, ...]
    entries: tuple[Entry, ...]
    runs: tuple[PlannedRun, ...]
    stages: tuple[PlannedStage, ...]
    runtime: Mapping[str, Any]
    cost: Mapping[str, Any]


def expand(
    sweep: Mapping[str, Any],
    profile: str,
    overrides: Sequence[str],
    seeds: Sequence[int] | None,
    experiments: Experiments,
) -> Plan:
    """Expand a sweep. `seeds` replaces the sweep's own seeds where given.

    Seeds are the outer loop: an unfinished sweep has whole seeds of every arm, which is what paired
    differences need. Raises ConfigError for overrides of what the arms vary.
    """
    _refuse_arm_overrides(sweep, overrides)
    wanted = {arm: _seeds_of(sweep, arm, seeds) for arm in sweep["arms"]}
    cells = [(arm, seed) for seed in _ordered(wanted) for arm in wanted if seed in wanted[arm]]
    runs: dict[str, PlannedRun] = {}
    stages: dict[str, PlannedStage] = {}
    entries = []
    facts: dict[str, Arm] = {}
    for arm, seed in cells:
        composed = experiments.compose(_overrides_of(sweep, profile, overrides, arm, seed))
        spec = composed.spec
        run_id = experiments.run_id(spec)
        facts.setdefault(arm, _arm(arm, sweep["arms"][arm], spec))
        entries.append(Entry(arm, seed, run_id))
        if run_id in runs:
            known = runs[run_id]
            arms = known.arms if arm in known.arms else (*known.arms, arm)
            runs[run_id] = PlannedRun(run_id, arms, known.seed, known.spec, known.depends_on)
            continue
        names = _add_stages(stages, experiments.required_stages(spec))
        runs[run_id] = PlannedRun(run_id, (arm,), seed, spec, names)
    return Plan(
        sweep=sweep["name"],
        profile=profile,
        question=sweep["question"],
        baseline=sweep["baseline"],
        headline=sweep["headline"],
        scaling=sweep.get("scaling"),
        overrides=tuple(overrides),
        arms=tuple(facts[arm] for arm in sweep["arms"]),
        entries=tuple(entries),
        runs=tuple(runs.values()),
        stages=tuple(stages.values()),
        runtime=composed.runtime,
        cost=composed.cost,
    )


def plan_record(plan: Plan, git_commit: str | None) -> dict[str, Any]:
    """The content of `reports/<sweep>/plan.json`."""
    depends_on = {run.run_id: list(run.depends_on) for run in plan.runs}
    return {
        "schema": 1,
        "sweep": plan.sweep,
        "profile": plan.profile,
        "question": plan.question,
        "baseline": plan.baseline,
        "headline": dict(plan.headline),
        "overrides": list(plan.overrides),
        "arms": [
            {
                "arm": arm.name,
                "formulation": arm.formulation,
                "unlabelled_clips": arm.unlabelled_clips,
                "labelled_clips": arm.labelled_clips,
                "yardstick": arm.yardstick,
            }
            for arm in plan.arms
        ],
        "scaling": None if plan.scaling is None else dict(plan.scaling),
        "runs": [
            {
                "arm": entry.arm,
                "seed": entry.seed,
                "run_id": entry.run_id,
                "depends_on": depends_on[entry.run_id],
            }
            for entry in plan.entries
        ],
        "git_commit": git_commit,
    }


def _seeds_of(sweep: Mapping[str, Any], arm: str, chosen: Sequence[int] | None) -> list[int]:
    own = sweep["arms"][arm].get("seeds")
    if chosen is None:
        return list(own if own is not None else sweep["seeds"])
    if own is None:
        return list(chosen)
    # An arm with fewer seeds of its own keeps to those; it never loses all of them.
    return [seed for seed in chosen if seed in own] or list(chosen)


def _ordered(wanted: Mapping[str, Sequence[int]]) -> list[int]:
    return list(dict.fromkeys(seed for seeds in wanted.values() for seed in seeds))


def _overrides_of(
    sweep: Mapping[str, Any], profile: str, overrides: Sequence[str], arm: str, seed: int
) -> list[str]:
    own = [str(override) for override in sweep["arms"][arm].get("overrides") or []]
    return [f"profile={profile}", *own, *overrides, f"seed={seed}"]


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~")


def _refuse_arm_overrides(sweep: Mapping[str, Any], overrides: Sequence[str]) -> None:
    varied = sorted(
        {_key(str(o)) for arm in sweep["arms"].values() for o in arm.get("overrides") or []}
    )
    for override in overrides:
        if _key(override) == "seed":
            raise ConfigError(f"{override}: a sweep takes seeds=[0,1,...], not seed")
        if _key(override) in varied:
            raise ConfigError(
                f"{override}: the arms of sweep {sweep['name']!r} vary {_key(override)!r} "
                f"themselves (they set {varied}); every other setting can be overridden"
            )


def _arm(name: str, arm: Mapping[str, Any], spec: Spec) -> Arm:
    data = spec["data"]
    return Arm(
        name=name,
        formulation=spec["formulation"]["name"],
        labelled_clips=data["labelled_clips"],
        unlabelled_clips=data["unlabelled_clips"],
        yardstick=bool(arm.get("yardstick", False)),
    )


def _add_stages(stages: dict[str, PlannedStage], required: Sequence[Any]) -> tuple[str, ...]:
    for stage in required:
        planned = PlannedStage(stage.id, stage.kind, stage.spec, tuple(stage.depends_on))
        stages.setdefault(stage.id, planned)
    return tuple(stage.id for stage in required)
