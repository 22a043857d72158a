"""A sweep and the overrides of the command line, expanded into runs and stages (pure, ordered)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flow3r.config import require_choice
from flow3r.errors import ConfigError
from sweeps.planning.questions import resolve_questions

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
    baseline: str | None = None
    """The arm that this one is compared with, where it is not the sweep's baseline."""


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
    questions: tuple[Mapping[str, Any], ...]
    benchmarks: tuple[str, ...] | None
    """Which benchmarks the report is about; None: all that its runs are scored on."""
    kept: tuple[Entry, ...] = ()
    """Of the entries, those of seeds that an earlier command planned and this one leaves out."""


def expand(
    sweep: Mapping[str, Any],
    profile: str,
    overrides: Sequence[str],
    seeds: Sequence[int] | None,
    experiments: Experiments,
    recorded: Sequence[Entry] = (),
) -> Plan:
    """Expand a sweep. `seeds` replaces the sweep's own seeds where given.

    recorded: what earlier commands planned. Of other seeds than these it stays in the plan, where
    its runs are those of the same settings: a narrower command forgets nothing.

    Seeds are the outer loop: an unfinished sweep has whole seeds of every arm, which is what paired
    differences need. Raises ConfigError for overrides of what the arms vary, and for a benchmark
    or a question about something that the sweep does not have.
    """
    _refuse_arm_overrides(sweep, overrides)
    wanted = {arm: _seeds_of(sweep, arm, seeds) for arm in sweep["arms"]}
    earlier = [e for e in recorded if e.arm in wanted and e.seed not in wanted[e.arm]]
    composer = _Composer(sweep, profile, overrides, experiments.compose)
    collected = _Collected(experiments.required_stages)
    entries, kept = [], []
    facts: dict[str, Arm] = {}
    for arm, seed in _cells(wanted, earlier):
        spec = composer.spec(arm, seed)
        entry = Entry(arm, seed, experiments.run_id(spec))
        if seed not in wanted[arm]:
            if entry not in earlier:
                continue
            kept.append(entry)
        facts.setdefault(arm, _arm(arm, sweep, spec))
        entries.append(entry)
        collected.add(entry, spec)
    described = tuple(facts[arm] for arm in sweep["arms"])
    scored = _scored(collected.runs.values())
    benchmarks = _benchmarks(sweep, scored)
    return Plan(
        sweep=sweep["name"],
        profile=profile,
        question=sweep["question"],
        baseline=sweep["baseline"],
        headline=sweep["headline"],
        scaling=sweep.get("scaling"),
        overrides=tuple(overrides),
        arms=described,
        entries=tuple(entries),
        runs=tuple(collected.runs.values()),
        stages=tuple(collected.stages.values()),
        runtime=composer.surroundings.runtime,
        cost=composer.surroundings.cost,
        questions=resolve_questions(sweep, described, benchmarks or scored),
        benchmarks=benchmarks,
        kept=tuple(kept),
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
        **({} if plan.benchmarks is None else {"benchmarks": list(plan.benchmarks)}),
        "overrides": list(plan.overrides),
        "arms": [
            {
                "arm": arm.name,
                "formulation": arm.formulation,
                "unlabelled_clips": arm.unlabelled_clips,
                "labelled_clips": arm.labelled_clips,
                "yardstick": arm.yardstick,
                **({"baseline": arm.baseline} if arm.baseline else {}),
            }
            for arm in plan.arms
        ],
        "scaling": None if plan.scaling is None else dict(plan.scaling),
        "questions": [dict(question) for question in plan.questions],
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
    return [seed for seed in chosen if seed in own] or list(chosen)[: len(own)]


def _cells(wanted: Mapping[str, Sequence[int]], earlier: Sequence[Entry]) -> list[tuple[str, int]]:
    """(arm, seed) of all runs: seed by seed, the arms in their order."""
    seeds_of = {arm: list(seeds) for arm, seeds in wanted.items()}
    for entry in earlier:
        seeds_of[entry.arm].append(entry.seed)
    ordered = dict.fromkeys(seed for seeds in wanted.values() for seed in seeds)
    ordered |= dict.fromkeys(entry.seed for entry in earlier)
    return [(arm, seed) for seed in ordered for arm in wanted if seed in seeds_of[arm]]


def _overrides_of(
    sweep: Mapping[str, Any], profile: str, overrides: Sequence[str], arm: str, seed: int
) -> list[str]:
    """The user's overrides hold for every arm, except for what makes the arm what it is."""
    own = _own_overrides(sweep, arm)
    varied = {_key(override) for override in own}
    others = [override for override in overrides if _key(override) not in varied]
    return [f"profile={profile}", *others, *own, f"seed={seed}"]


class _Composer:
    """Composes each arm once and changes the seed of the result.

    Composing takes a tenth of a second, which a sweep of hundreds of runs should not pay per run.
    That the seed is one number in one place of a spec is checked on the first pair of seeds; where
    it does not hold, every run is composed.
    """

    def __init__(
        self,
        sweep: Mapping[str, Any],
        profile: str,
        overrides: Sequence[str],
        compose: Callable[[list[str]], Any],
    ) -> None:
        self._compose = lambda arm, seed: compose(
            _overrides_of(sweep, profile, overrides, arm, seed)
        )
        self._first: dict[str, Spec] = {}
        self._separable: bool | None = None
        self.surroundings: Any = None

    def spec(self, arm: str, seed: int) -> Spec:
        if arm in self._first and self._separable:
            return {**self._first[arm], "seed": seed}
        composed = self._compose(arm, seed)
        self.surroundings = self.surroundings or composed
        if arm in self._first and self._separable is None:
            self._separable = composed.spec == {**self._first[arm], "seed": seed}
        self._first.setdefault(arm, composed.spec)
        return composed.spec


def _own_overrides(sweep: Mapping[str, Any], arm: str) -> list[str]:
    return [str(override) for override in sweep["arms"][arm].get("overrides") or []]


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~")


def _refuse_arm_overrides(sweep: Mapping[str, Any], overrides: Sequence[str]) -> None:
    keys = [{_key(o) for o in _own_overrides(sweep, arm)} for arm in sweep["arms"]]
    varied = set.intersection(*keys) if keys else set()
    for override in overrides:
        if _key(override) in ("seed", "profile"):
            raise ConfigError(f"{override}: a sweep takes profile=NAME and seeds=[0,1,...]")
        if _key(override) in varied:
            raise ConfigError(
                f"{override}: every arm of sweep {sweep['name']!r} sets {_key(override)!r} itself "
                f"(all of them set {sorted(varied)}); other settings can be overridden"
            )


def _arm(name: str, sweep: Mapping[str, Any], spec: Spec) -> Arm:
    data, arm = spec["data"], sweep["arms"][name]
    if arm.get("baseline") is not None:
        require_choice(f"arms.{name}.baseline", arm["baseline"], sweep["arms"])
    return Arm(
        name=name,
        formulation=spec["formulation"]["name"],
        labelled_clips=data["labelled_clips"],
        unlabelled_clips=data["unlabelled_clips"],
        yardstick=bool(arm.get("yardstick", False)),
        baseline=arm.get("baseline"),
    )


def _scored(runs: Iterable[PlannedRun]) -> list[str]:
    """The test benchmarks that every run is scored on."""
    found = [set(run.spec["data"].get("test") or ()) for run in runs]
    return sorted(set.intersection(*found)) if found else []


def _benchmarks(sweep: Mapping[str, Any], scored: Sequence[str]) -> tuple[str, ...] | None:
    """The benchmarks that the sweep names, all of them scored and the headline's among them."""
    if sweep.get("benchmarks") is None:
        return None
    for name in sweep["benchmarks"]:
        require_choice("benchmarks", name, scored)
    require_choice("headline.benchmark", sweep["headline"]["benchmark"], sweep["benchmarks"])
    return tuple(sweep["benchmarks"])


class _Collected:
    """The runs and stages of the cells so far, each once."""

    def __init__(self, required_stages: Callable[[Spec], Sequence[Any]]) -> None:
        self.runs: dict[str, PlannedRun] = {}
        self.stages: dict[str, PlannedStage] = {}
        self._required_stages = required_stages

    def add(self, entry: Entry, spec: Spec) -> None:
        known = self.runs.get(entry.run_id)
        if known is None:
            needs = self._add_stages(self._required_stages(spec))
            self.runs[entry.run_id] = PlannedRun(
                entry.run_id, (entry.arm,), entry.seed, spec, needs
            )
        elif entry.arm not in known.arms:
            self.runs[entry.run_id] = replace(known, arms=(*known.arms, entry.arm))

    def _add_stages(self, required: Sequence[Any]) -> tuple[str, ...]:
        for stage in required:
            planned = PlannedStage(stage.id, stage.kind, stage.spec, tuple(stage.depends_on))
            self.stages.setdefault(stage.id, planned)
        return tuple(stage.id for stage in required)
