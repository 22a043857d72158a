"""What is behind a number, read from the run directories themselves: neither cache nor tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.metrics import metric
from analysis.plan import Plan
from analysis.runfiles import EVALUATION, STATUS, read_object
from flow3r.config import require_choice
from flow3r.errors import DataError


@dataclass(frozen=True)
class Source:
    """One run behind a number: its values by scene, as its evaluation.json has them."""

    seed: int
    run_id: str
    path: Path
    values: Mapping[str, float]
    chance: float | None


@dataclass(frozen=True)
class Traced:
    """A weighted sum of arms: score (weight 1), difference (1, -1), or slope.

    sides: the sources of each arm, by shared seed; values [S, K]: the sum by seed and scene;
    planned: seeds planned in all of the arms.
    """

    weights: Mapping[str, float]
    sides: tuple[tuple[Source, ...], ...]
    scenes: tuple[str, ...]
    values: np.ndarray
    planned: int


def trace(
    output_dir: Path, plan: Plan, weights: Mapping[str, float], benchmark: str, name: str
) -> Traced:
    """Collect the runs behind a weighted sum of arms. DataError where no finished run has it."""
    metric(name)
    sides = []
    for arm in weights:
        require_choice("arm", arm, [known.name for known in plan.arms])
        sides.append(arm_sources(output_dir, plan, arm, benchmark, name))
    seeds = set.intersection(*({source.seed for source in side} for side in sides))
    if not seeds:
        raise DataError(f"no finished run has {name} on {benchmark!r} for {' and '.join(weights)}")
    kept = [[source for source in side if source.seed in seeds] for side in sides]
    scenes = _shared_scenes(kept)
    tables = [np.array([[s.values.get(k, np.nan) for k in scenes] for s in side]) for side in kept]
    values = sum(weight * table for weight, table in zip(weights.values(), tables))
    planned = set.intersection(*(plan.seeds(arm) for arm in weights))
    return Traced(weights, tuple(map(tuple, kept)), tuple(scenes), values, len(planned))


def arm_sources(output_dir: Path, plan: Plan, arm: str, benchmark: str, name: str) -> list[Source]:
    """Every finished run of an arm that has the metric, in order of its seed."""
    found = []
    for run in sorted((run for run in plan.runs if run.arm == arm), key=lambda run: run.seed):
        folder = output_dir / "runs" / run.run_id
        path = folder / EVALUATION
        done = (folder / STATUS).is_file() and read_object(folder / STATUS).get("state") == "done"
        if not done or not path.is_file():
            continue
        benchmarks = read_object(path)["benchmarks"]
        require_choice("benchmark", benchmark, sorted(benchmarks))
        content = benchmarks[benchmark]
        values = {row["scene"]: row["metrics"].get(name) for row in content["scenes"]}
        values = {k: float(v) for k, v in values.items() if v is not None and math.isfinite(v)}
        level = (content.get("chance") or {}).get(name)
        if values:
            found.append(Source(run.seed, run.run_id, path, values, level))
    return found


def chance_of(sources: Sequence[Source]) -> float:
    """The chance level that the first run states."""
    if sources[0].chance is None:
        raise DataError(f"{sources[0].path}: holds no chance level of this metric")
    return sources[0].chance


def _shared_scenes(sides: Sequence[Sequence[Source]]) -> list[str]:
    """The scenes with a value in some run of every side."""
    return sorted(
        set.intersection(*(set().union(*(source.values for source in side)) for side in sides))
    )
