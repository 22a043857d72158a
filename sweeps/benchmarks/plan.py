"""`sweep=benchmarks`: every model on every benchmark, as a plan of evaluations."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.evaluation.memory import parse_memory
from experiments.evaluation.plan import (
    KIND,
    PlannedEvaluation,
    fitted,
    open_benchmark_data,
    plan_evaluation,
    precision_name,
)
from experiments.evaluation.sources import KINDS, Source, find_source
from experiments.protocols import load_protocol
from flow3r.config import from_mapping, require
from flow3r.data.scenes import Dataset
from flow3r.errors import ConfigError, DataError
from flow3r.evaluation.protocols.protocol import Protocol
from sweeps.jobs import REPOSITORY, Job
from sweeps.options import CONFIGS

NAME = "benchmarks"
SETTINGS = CONFIGS / "sweep" / f"{NAME}.yaml"
FILE, RESCORE = "file", "rescore"


@dataclass(frozen=True)
class Settings:
    """The content of the sweep's YAML."""

    models: dict[str, dict[str, str]]
    benchmarks: tuple[str, ...]
    paths: dict[str, str]
    changes: dict[str, Any]
    device: str = "auto"
    precision: str = "auto"
    memory: float | None = None
    rescore: bool = False
    """Score finished evaluations again, from their predictions."""

    def __post_init__(self) -> None:
        require(
            bool(self.models), f"sweep={NAME} needs models.NAME.run=DIR, .weights= or .predictions="
        )
        require(bool(self.benchmarks), f"sweep={NAME} needs benchmarks=[NAME,...]")
        for name, given in self.models.items():
            known = len(given) == 1 and set(given) <= set(KINDS)
            require(known, f"models.{name}={dict(given)}: give one of {list(KINDS)}")

    @property
    def runtime(self) -> dict[str, Any]:
        """What changes no number."""
        limit = None if self.memory is None else parse_memory(str(self.memory))
        return {"device": self.device, "memory": limit}


@dataclass(frozen=True)
class Cell:
    """One model on one benchmark; either planned or, with a reason, not."""

    model: str
    benchmark: str
    planned: PlannedEvaluation | None
    missing: str | None = None


@dataclass(frozen=True)
class BenchmarkPlan:
    """All of them, model by model."""

    settings: Settings
    protocols: tuple[Protocol, ...]
    cells: tuple[Cell, ...]


def read_settings(words: Sequence[str]) -> Settings:
    """The YAML of the sweep, a file of the user's over it, and words of the command line over both.

    A word that is no setting of the sweep changes a setting of every protocol.
    """
    content = _mapping(SETTINGS)
    pairs = [word.partition("=")[::2] for word in words]
    for file in (value for name, value in pairs if name == FILE):
        content |= _mapping(Path(file))
    for name, value in pairs:
        if name != FILE:
            _set(content, name, yaml.safe_load(value))
    return from_mapping(Settings, content, f"sweep={NAME}")


def plan_benchmarks(settings: Settings) -> BenchmarkPlan:
    """Look at models and data; what is not on this machine is a cell without an evaluation.

    Raises ConfigError for an unknown benchmark or setting.
    """
    protocols = tuple(load_protocol(name, settings.changes) for name in settings.benchmarks)
    data = {protocol.name: _data(settings, protocol) for protocol in protocols}
    cells = []
    for model, given in settings.models.items():
        sources: dict[Path, Source | str] = {}
        for protocol in protocols:
            [(kind, text)] = given.items()
            path = Path(text) / protocol.name if kind == "predictions" else Path(text)
            if path not in sources:
                sources[path] = _source(kind, path)
            cells.append(_cell(settings, model, protocol, data[protocol.name], sources[path]))
    return BenchmarkPlan(settings, protocols, tuple(cells))


def plan_jobs(plan: BenchmarkPlan, output_dir: Path) -> list[Job]:
    """A job for each evaluation; models with the same weights share it."""
    labels: dict[str, list[str]] = {}
    planned = {}
    for cell in plan.cells:
        if cell.planned is not None:
            labels.setdefault(cell.planned.id, []).append(cell.model)
            planned[cell.planned.id] = cell
    return [
        _job(cell.planned, f"{'/'.join(labels[name])} on {cell.benchmark}", output_dir)
        for name, cell in planned.items()
    ]


def plan_record(plan: BenchmarkPlan, git_commit: str | None) -> dict[str, Any]:
    """The content of `reports/benchmarks/plan.json`."""
    return {
        "schema": 1,
        "sweep": NAME,
        "models": [{"name": name, **given} for name, given in plan.settings.models.items()],
        "benchmarks": [
            {
                "name": protocol.name,
                "label": protocol.label,
                "family": protocol.family,
                "metrics": list(protocol.metrics),
                "version": protocol.version,
            }
            for protocol in plan.protocols
        ],
        "changes": plan.settings.changes,
        "cells": [
            {
                "model": cell.model,
                "benchmark": cell.benchmark,
                "evaluation": None if cell.planned is None else cell.planned.id,
                "missing": cell.missing,
            }
            for cell in plan.cells
        ],
        "git_commit": git_commit,
    }


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{FILE}={path} cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{FILE}={path} is no YAML: {error}") from None
    require(isinstance(content, dict), f"{FILE}={path} must hold settings such as models and paths")
    return content


def _set(content: dict[str, Any], name: str, value: Any) -> None:
    """`models.NAME.KIND`, `paths.NAME`, another setting of the sweep, or a change of protocols."""
    group, dot, rest = name.partition(".")
    if group == "models" and dot:
        model, _, kind = rest.rpartition(".")
        require(bool(model), f"{name}=: write models.NAME.run=, .weights= or .predictions=")
        content["models"] = {**content["models"], model: {kind: str(value)}}
    elif group == "paths" and dot:
        content["paths"] = {**content["paths"], rest: str(value)}
    elif name in Settings.__dataclass_fields__:
        content[name] = value
    else:
        content["changes"] = {**content["changes"], name: value}


def _data(settings: Settings, protocol: Protocol) -> Dataset | str:
    """The opened dataset, or why there is none."""
    path = settings.paths.get(protocol.name, settings.paths.get(protocol.dataset))
    if path is None:
        return f"no dataset: paths.{protocol.name}= is not given"
    try:
        return open_benchmark_data(protocol, Path(path))
    except DataError as error:
        return f"no dataset: {error}"


def _source(kind: str, path: Path) -> Source | str:
    try:
        return find_source(kind, path)
    except (ConfigError, DataError) as error:
        return f"no {kind}: {error}"


def _cell(
    settings: Settings, model: str, protocol: Protocol, data: Dataset | str, source: Source | str
) -> Cell:
    reasons = [part for part in (data, source) if isinstance(part, str)]
    if reasons:
        return Cell(model, protocol.name, None, "; ".join(reasons))
    precision = precision_name(source, settings.precision, settings.device)
    shown, changed = fitted(protocol, settings.changes, source)
    planned = plan_evaluation(source, shown, data, changed, precision)
    return Cell(model, protocol.name, planned)


def _job(planned: PlannedEvaluation, label: str, output_dir: Path) -> Job:
    directory = output_dir / "evaluations" / planned.id
    script = REPOSITORY / "experiments" / "stage.py"
    command = (sys.executable, str(script), f"spec={directory / 'spec.json'}")
    return Job(planned.id, KIND, label, directory, command, (), planned.spec)
