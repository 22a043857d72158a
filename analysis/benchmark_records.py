"""The records of `sweep=benchmarks`: what was evaluated on which benchmark, and how it scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.crossed import student_quantile
from analysis.statistics import LEVEL
from flow3r.config import from_mapping
from flow3r.errors import DataError
from flow3r.evaluation.protocols.protocol import Protocol
from flow3r.evaluation.protocols.summary import summarise_scenes
from flow3r.files import read_json

SWEEP = "benchmarks"
BLOCKS = 50
"""Scenes are left out in so many groups at most, for the interval."""


@dataclass(frozen=True)
class Score:
    """A metric on a benchmark; no interval with one scene."""

    mean: float
    low: float | None
    high: float | None
    scenes: int


@dataclass(frozen=True)
class Evaluation:
    """One model on one benchmark."""

    model: str
    benchmark: str
    protocol: Protocol
    record: Mapping[str, Any]
    """The content of its evaluation.json."""
    scores: Mapping[str, Score]
    """By the name of the metric, those that some scene defines."""


@dataclass(frozen=True)
class BenchmarkRecords:
    """Everything a table needs."""

    models: tuple[str, ...]
    benchmarks: tuple[Mapping[str, Any], ...]
    """name, label, family and metrics, in the order asked for."""
    evaluations: Mapping[tuple[str, str], Evaluation]
    """By (model, benchmark), the finished ones."""
    missing: Mapping[tuple[str, str], str]
    """Why the others are not there."""


def load_benchmarks(output_dir: Path) -> BenchmarkRecords:
    """The plan of the sweep and its finished evaluations. DataError where there is no plan."""
    path = output_dir / "reports" / SWEEP / "plan.json"
    if not path.exists():
        raise DataError(f"{path} is missing; python sweeps/run.py sweep={SWEEP} writes it")
    plan = read_json(path)
    evaluations, missing = {}, {}
    for cell in plan["cells"]:
        key = (cell["model"], cell["benchmark"])
        if cell["evaluation"] is None:
            missing[key] = cell["missing"]
            continue
        directory = output_dir / "evaluations" / cell["evaluation"]
        reason = _unfinished(directory)
        if reason:
            missing[key] = reason
        else:
            evaluations[key] = _read(directory, *key)
    models = tuple(model["name"] for model in plan["models"])
    return BenchmarkRecords(models, tuple(plan["benchmarks"]), evaluations, missing)


def scores_of(protocol: Protocol, scenes: list[dict[str, Any]]) -> dict[str, Score]:
    """The means of a benchmark with 95 % intervals over its scenes.

    The interval is Student's with the jackknife's standard error (Efron & Tibshirani 1993, ch. 11):
    the same summary is taken with each scene left out (each of `BLOCKS` groups of them, where there
    are more), so that it fits every way of pooling. For a plain mean it is the usual t interval.
    """
    means = summarise_scenes(protocol, scenes)
    blocks = min(len(scenes), BLOCKS)
    counts = {name: sum(name in scene["metrics"] for scene in scenes) for name in means}
    if blocks < 2:
        return {name: Score(mean, None, None, counts[name]) for name, mean in means.items()}
    left = [
        summarise_scenes(protocol, [s for i, s in enumerate(scenes) if i % blocks != block])
        for block in range(blocks)
    ]
    found = {}
    for name, mean in means.items():
        parts = np.array([part[name] for part in left if name in part])
        low = high = None
        if len(parts) == blocks and counts[name] >= 2:
            error = np.sqrt((blocks - 1) / blocks * ((parts - parts.mean()) ** 2).sum())
            half = float(student_quantile(0.5 + LEVEL / 2, blocks - 1) * error)
            low, high = mean - half, mean + half
        found[name] = Score(mean, low, high, counts[name])
    return found


def _unfinished(directory: Path) -> str:
    """Why an evaluation has no scores; '' if it has."""
    path = directory / "status.json"
    status = read_json(path) if path.exists() else {"state": "not started"}
    if status["state"] == "done":
        return ""
    reason = status.get("reason")
    return f"{status['state']}: {reason}" if reason else status["state"]


def _read(directory: Path, model: str, benchmark: str) -> Evaluation:
    path = directory / "evaluation.json"
    record = read_json(path)
    protocol = from_mapping(Protocol, record["protocol"], f"{path}: protocol")
    return Evaluation(model, benchmark, protocol, record, scores_of(protocol, record["scenes"]))
