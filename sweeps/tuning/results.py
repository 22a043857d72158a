"""What a tuning leaves behind: trials.json for the report, tuned.yaml for `tuned=true`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from flow3r.config import from_mapping
from flow3r.errors import ConfigError
from flow3r.files import write_json, write_text
from sweeps.tuning.importance import importances
from sweeps.tuning.plan import TuningPlan, arm_name
from sweeps.tuning.settings import DEFAULT, NAME
from sweeps.tuning.space import Values
from sweeps.tuning.standings import Race, Standing, chosen

RUNTIME = "runtime."
"""How the overrides begin that change no result."""


@dataclass(frozen=True)
class Tuned:
    """The content of tuned.yaml. scenes: seeds of the data sets that the choice was made on."""

    profile: str
    values: dict[str, Values]
    """Formulation -> override -> value."""
    overrides: tuple[str, ...]
    seeds: tuple[int, ...]
    scenes: dict[str, dict[str, Any]]
    budget: dict[str, Any]
    git_commit: str | None


def tuning_folder(output_dir: Path, profile: str) -> Path:
    """Where tuned.yaml and the journal of a profile lie."""
    return output_dir / NAME / profile


def tuned_path(output_dir: Path, profile: str) -> Path:
    """The chosen values of a profile."""
    return tuning_folder(output_dir, profile) / "tuned.yaml"


def read_tuned(output_dir: Path, profile: str) -> Tuned:
    """The chosen values; ConfigError where this profile was not tuned in this folder."""
    path = tuned_path(output_dir, profile)
    if not path.exists():
        others = sorted(p.parent.name for p in (output_dir / NAME).glob("*/tuned.yaml"))
        raise ConfigError(
            f"tuned=true needs {path}, which `sweep={NAME} profile={profile}` in the same "
            f"output_dir writes; tuned there so far: {others or 'nothing'}"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is damaged ({error}); sweep={NAME} writes it anew") from None
    return from_mapping(Tuned, content, str(path))


def write_tuned(
    tuning: TuningPlan, races: Sequence[Race], commit: str | None, output_dir: Path
) -> Path | None:
    """Write tuned.yaml once every formulation has its values; returns its path, else None."""
    best = {race.formulation: chosen(tuning, race) for race in races}
    if any(standing is None for standing in best.values()):
        return None
    content = {
        "profile": tuning.plan.profile,
        "values": {name: dict(standing.trial.values) for name, standing in best.items()},
        "overrides": scientific(tuning.plan.overrides),
        "seeds": list(tuning.config.seeds),
        "scenes": _scenes(tuning),
        "budget": _budget(tuning),
        "git_commit": commit,
    }
    path = tuned_path(output_dir, tuning.plan.profile)
    head = f"# Chosen by sweep={NAME}; `sweep=NAME tuned=true` in the same output_dir uses it.\n"
    write_text(path, head + yaml.safe_dump(content, sort_keys=False))
    return path


def write_trials(
    tuning: TuningPlan, races: Sequence[Race], commit: str | None, output_dir: Path
) -> Path:
    """Write everything the report needs."""
    path = output_dir / "reports" / NAME / "trials.json"
    write_json(path, trials_record(tuning, races, commit))
    return path


def trials_record(tuning: TuningPlan, races: Sequence[Race], commit: str | None) -> dict[str, Any]:
    """The content of `reports/tuning/trials.json`; null stands for what is not measured."""
    config = tuning.config
    return {
        "schema": 1,
        "profile": tuning.plan.profile,
        "metric": config.metric,
        "benchmark": config.benchmark,
        "overrides": list(tuning.plan.overrides),
        "seeds": list(config.seeds),
        "scenes": _scenes(tuning),
        "budget": _budget(tuning),
        "space": {
            name: {
                "label": parameter.label,
                "low": parameter.low,
                "high": parameter.high,
                "default": tuning.defaults[name],
            }
            for name, parameter in config.space.items()
        },
        "formulations": {race.formulation: _race_record(tuning, race) for race in races},
        "git_commit": commit,
    }


def scientific(overrides: Sequence[str]) -> list[str]:
    """The overrides that can change a result, in order of their names."""
    return sorted(override for override in overrides if not override.startswith(RUNTIME))


def _race_record(tuning: TuningPlan, race: Race) -> dict[str, Any]:
    best = chosen(tuning, race)
    compared = [s.rungs[0] if s.rungs else s.score for s in race.standings]
    return {
        "trials": [_trial_record(race, standing) for standing in race.standings],
        "chosen": None if best is None else best.trial.number,
        "importance": importances(
            tuning.config.space, [s.trial.values for s in race.standings], compared
        ),
    }


def _trial_record(race: Race, standing: Standing) -> dict[str, Any]:
    number = standing.trial.number
    return {
        "candidate": number,
        "arm": arm_name(race.formulation, number),
        "default": number == DEFAULT,
        "values": dict(standing.trial.values),
        "run_ids": list(standing.trial.run_ids),
        "rungs": [_finite(value) for value in standing.rungs],
        "score": _finite(standing.score),
        "dropped": race.has_dropped(number),
        "failed": standing.failed,
        "steps": standing.steps,
        "train_seconds": standing.train_seconds,
        "seconds": standing.seconds,
    }


def _budget(tuning: TuningPlan) -> dict[str, Any]:
    """What every formulation was given, before anything failed."""
    return {
        "candidates": tuning.config.candidates,
        "rungs": list(tuning.rungs),
        "fields": list(tuning.fields),
        "total_steps": tuning.total_steps,
    }


def _scenes(tuning: TuningPlan) -> dict[str, dict[str, Any]]:
    """The data sets that candidates were scored on: at the rungs, and at the end."""
    data = tuning.plan.runs[0].spec["data"]
    return {
        "rungs": _described(data["validation"][tuning.config.benchmark]),
        "end": _described(data["test"][tuning.config.benchmark]),
    }


def _described(dataset: Mapping[str, Any]) -> dict[str, Any]:
    domain = dataset["world"]["domain"]
    return {"seed": dataset["seed"], "clips": dataset["count"], "domain": domain}


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
