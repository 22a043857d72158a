"""A tuning expanded into its trials: one candidate of one formulation each, run per seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

from experiments import compose, stages
from experiments.found_runs import FoundRuns
from flow3r.config import require
from flow3r.errors import ConfigError
from sweeps.options import Options
from sweeps.planning.expansion import Experiments, Plan, expand
from sweeps.tuning.composing import CandidateComposer, value_at
from sweeps.tuning.halving import field_sizes, rung_steps
from sweeps.tuning.settings import NAME, TuningConfig, load_tuning
from sweeps.tuning.space import Values, candidates


@dataclass(frozen=True)
class Trial:
    """A candidate of a formulation. `run_ids`: one run per seed."""

    formulation: str
    number: int
    values: Values
    run_ids: tuple[str, ...]


@dataclass(frozen=True)
class TuningPlan:
    """Everything a tuning will do.

    plan: its runs, an arm per trial. rungs: steps; fields: how many trials of a formulation train
    up to each rung and, last, to the end. defaults: of the tuned parameters.
    """

    config: TuningConfig
    plan: Plan
    trials: tuple[Trial, ...]
    defaults: Values
    rungs: tuple[int, ...]
    fields: tuple[int, ...]
    total_steps: int

    def of(self, formulation: str) -> tuple[Trial, ...]:
        """The trials of a formulation, by number."""
        return tuple(trial for trial in self.trials if trial.formulation == formulation)


def plan_tuning(options: Options) -> TuningPlan:
    """Compose and expand the tuning; ConfigError for what would make it unequal or unfair."""
    config = load_tuning(options.profile)
    _refuse(options, config)
    if options.seeds is not None:
        config = replace(config, seeds=options.seeds)
    check_seeds(config.seeds, options.profile)
    usual = _usual_spec(config, options)
    defaults = {name: value_at(usual, name) for name in config.space}
    training = usual["training"]["stages"]
    total = sum(stage["steps"] for stage in training)
    rungs = rung_steps(config.rungs, total, total - training[-1]["steps"])
    points = candidates(config.space, defaults, config.candidates, config.points_seed)
    arms = {
        arm_name(formulation, number): {"overrides": _overrides(config, formulation, values, rungs)}
        for formulation in config.formulations
        for number, values in enumerate(points)
    }
    composer = CandidateComposer(config.space, compose.compose)
    found = FoundRuns(options.output_dir / "runs")
    experiments = Experiments(composer, found.run_id, stages.required_stages)
    sweep = _sweep(config, arms)
    plan = expand(sweep, options.profile, options.overrides, options.seeds, experiments)
    for run in plan.runs:
        check_scenes(run.spec["data"], usual["data"])
    return TuningPlan(
        config=config,
        plan=plan,
        trials=tuple(_trials(config, plan, points)),
        defaults=defaults,
        rungs=rungs,
        fields=field_sizes(config.candidates, len(rungs)),
        total_steps=total,
    )


def arm_name(formulation: str, number: int) -> str:
    """What a trial is called in the console, in MLflow and in the report."""
    return f"{formulation}-c{number:02d}"


def reported_seeds(profile: str) -> set[int]:
    """The seeds of every sweep that trains something in this profile."""
    found: set[int] = set()
    for name in compose.choices("sweep"):
        try:
            sweep = compose.load_sweep(name, profile)
        except ConfigError:  # it trains nothing, or not in this profile
            continue
        found.update(sweep["seeds"])
        for arm in sweep["arms"].values():
            found.update(arm.get("seeds") or ())
    return found


def check_seeds(seeds: Sequence[int], profile: str) -> None:
    """ConfigError where a tuning seed is one of a reported run."""
    reported = reported_seeds(profile)
    shared = sorted(reported & set(seeds))
    require(
        not shared,
        f"seeds={list(seeds)}: tuning must not see the seeds of reported runs, which are "
        f"{sorted(reported)}; choose others than {shared}",
    )


def check_scenes(tuning: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    """ConfigError where a trial is scored on scenes of a usual run, or of the test domain.

    Both are the `data` of a run spec. Scenes are told apart by the seed of their data set.
    """
    scored = [*tuning["validation"].values(), *tuning["test"].values()]
    seeds, taken = {dataset["seed"] for dataset in scored}, _seeds_of(usual)
    require(
        not seeds & taken,
        f"scenes: the seeds {sorted(seeds & taken)} are those of data sets of usual runs; choose "
        f"others than {sorted(taken)}",
    )
    withheld = {dataset["world"]["domain"] for dataset in usual["test"].values()}
    domains = {dataset["world"]["domain"] for dataset in scored}
    require(
        not domains & withheld,
        f"scenes: the domain {sorted(domains & withheld)} is that of the reported test scenes",
    )


def _refuse(options: Options, config: TuningConfig) -> None:
    require(
        not options.only,
        f"only={','.join(options.only)}: sweep={NAME} gives every formulation the same effort and "
        "cannot be cut down; leave only= out",
    )
    require(not options.tuned, f"tuned=true belongs to the sweep that follows, not to sweep={NAME}")
    for override in options.overrides:
        name = override.partition("=")[0]
        require(name not in config.space, f"{override}: sweep={NAME} varies {name} itself")


def _usual_spec(config: TuningConfig, options: Options) -> dict[str, Any]:
    """A run of the first formulation as the other sweeps have it."""
    words = [f"profile={options.profile}", *options.overrides]
    return compose.compose([*words, f"formulation={config.formulations[0]}"]).spec


def _overrides(
    config: TuningConfig, formulation: str, values: Values, rungs: tuple[int, ...]
) -> list[str]:
    tuned = [f"{name}={value!r}" for name, value in values.items()]
    every = [f"steps.validation_every={gcd(*rungs)}"] if rungs else []
    return [f"formulation={formulation}", *tuned, *config.scenes, *every]


def _sweep(config: TuningConfig, arms: dict[str, Any]) -> dict[str, Any]:
    """The tuning as any other sweep, which executors and the tracker understand."""
    first, last = (arm_name(config.formulations[i], 0) for i in (0, -1))
    return {
        "name": NAME,
        "question": config.question,
        "seeds": list(config.seeds),
        "baseline": first,
        "headline": {
            "arm": last,
            "baseline": first,
            "benchmark": config.benchmark,
            "metrics": [config.metric],
        },
        "scaling": None,
        "arms": arms,
    }


def _trials(config: TuningConfig, plan: Plan, points: Sequence[Values]) -> Iterable[Trial]:
    runs: dict[str, list[str]] = {}
    for entry in plan.entries:
        runs.setdefault(entry.arm, []).append(entry.run_id)
    for formulation in config.formulations:
        for number, values in enumerate(points):
            ids = runs[arm_name(formulation, number)]
            yield Trial(formulation, number, values, tuple(ids))


def _seeds_of(data: Any) -> set[int]:
    """The seeds of all data sets in a nested mapping."""
    if isinstance(data, Mapping):
        own = {data["seed"]} if "seed" in data and "world" in data else set()
        return own.union(*(_seeds_of(value) for value in data.values()))
    if isinstance(data, (list, tuple)):
        return set().union(*(_seeds_of(value) for value in data))
    return set()
