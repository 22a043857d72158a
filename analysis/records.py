"""Run directories and a plan become tidy DataFrames: the only reader of records in the analysis."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.plan import Plan, read_plan
from flow3r.errors import DataError
from flow3r.files import read_json

RUN_COLUMNS = (
    "run_id", "arm", "formulation", "seed", "unlabelled_clips", "labelled_clips", "yardstick",
    "state", "reason", "attempts", "finished", "step", "total_steps", "clips_per_step",
    "initialisation", "pretrained_heads", "train_seconds", "seconds", "parameters",
    "peak_memory_bytes", "git_commit", "git_dirty", "device", "torch",
)  # fmt: skip
COST_COLUMNS = (
    "run_id", "arm", "formulation", "seed", "unlabelled_clips", "labelled_clips", "yardstick",
    "train_seconds", "seconds", "parameters", "peak_memory_bytes",
)  # fmt: skip
BATCH_PARTS = ("replay", "labelled", "flexible")  # of a run's spec: the clips of one step
SCORE_COLUMNS = ("run_id", "benchmark", "scene", "metric", "value")


@dataclass(frozen=True)
class Matrix:
    """values [S, K]: scores of one arm by seed and scene, both sorted; NaN where undefined."""

    seeds: list[int]
    scenes: list[str]
    values: np.ndarray

    def at(self, seeds: list[int], scenes: list[str]) -> np.ndarray:
        """The part of the matrix at these of its seeds and scenes, in that order."""
        if seeds == self.seeds and scenes == self.scenes:
            return self.values
        rows = {seed: i for i, seed in enumerate(self.seeds)}
        columns = {scene: i for i, scene in enumerate(self.scenes)}
        chosen = np.ix_([rows[seed] for seed in seeds], [columns[scene] for scene in scenes])
        return self.values[chosen]


@dataclass(frozen=True)
class Records:
    """All that is known of a sweep.

    runs: one row per planned run (RUN_COLUMNS; `finished` = done and evaluated).
    scores: one row per finished run x benchmark x scene x metric, with the columns of the run's
        arm, formulation, seed, clip counts, train_seconds, parameters and peak memory.
    chance: benchmark, metric, value: the score of the best constant prediction.
    """

    output_dir: Path
    plan: Plan
    runs: pd.DataFrame
    scores: pd.DataFrame
    chance: pd.DataFrame

    @property
    def complete(self) -> bool:
        """Whether every planned run is finished."""
        return bool(self.runs["finished"].all())

    def benchmarks(self) -> list[str]:
        """The benchmarks with scores, `static` and `dynamic` first."""
        found = set(self.scores["benchmark"].unique())
        known = [name for name in ("static", "dynamic") if name in found]
        return known + sorted(found - set(known))

    def metrics(self, benchmark: str) -> list[str]:
        """The metrics with scores on a benchmark, in alphabetical order."""
        return sorted({name for _, found, name in self.matrices if found == benchmark})

    @cached_property
    def matrices(self) -> dict[tuple[str, str, str], Matrix]:
        """(arm, benchmark, metric) -> its scores; scenes without any value are left out."""
        return {
            key: _matrix(rows)
            for key, rows in self.scores.groupby(["arm", "benchmark", "metric"], observed=True)
        }


def load_records(output_dir: Path, sweep: str) -> Records:
    """Read a sweep, finished or not. DataError when there is no plan or no finished run."""
    plan = read_plan(output_dir, sweep)
    runs = _read_runs(output_dir, plan)
    finished = runs.loc[runs["finished"], "run_id"].unique()
    if len(finished) == 0:
        states = runs["state"].value_counts().to_dict()
        raise DataError(
            f"sweep {sweep!r}: no finished run yet under {output_dir / 'runs'} (states: {states})"
        )
    evaluations = {
        run_id: _read_evaluation(run_directory(output_dir, run_id) / "evaluation.json")
        for run_id in finished
    }
    _check_fingerprints(evaluations)
    scores = _scores(evaluations).merge(runs[list(COST_COLUMNS)], on="run_id")
    return Records(output_dir, plan, runs, scores, _chance(evaluations))


def run_directory(output_dir: Path, run_id: str) -> Path:
    """Where a run's files lie."""
    return output_dir / "runs" / run_id


def learning_curves(records: Records) -> pd.DataFrame:
    """Training and validation curves of every started run, finished or not.

    Columns: run_id, arm, formulation, seed, step, stage, metric, value.
    """
    tables = [
        _read_curve(run_directory(records.output_dir, run_id)).assign(run_id=run_id)
        for run_id in records.runs["run_id"].unique()
    ]
    keys = records.runs[["run_id", "arm", "formulation", "seed"]]
    return pd.concat(tables, ignore_index=True).merge(keys, on="run_id")


def score_matrices(
    records: Records, arms: list[str], benchmark: str, metric: str
) -> tuple[np.ndarray, list[int], list[str]]:
    """Scores as `values [A, S, K]` over the seeds and scenes that all the arms share.

    NaN where a scene has no value in a run. Also returns the seeds and the scenes.
    """
    found = [records.matrices.get((arm, benchmark, metric)) for arm in arms]
    if any(matrix is None for matrix in found):
        return np.empty((len(arms), 0, 0)), [], []
    seeds = sorted(set.intersection(*(set(matrix.seeds) for matrix in found)))
    scenes = sorted(set.intersection(*(set(matrix.scenes) for matrix in found)))
    return np.stack([matrix.at(seeds, scenes) for matrix in found]), seeds, scenes


def _matrix(rows: pd.DataFrame) -> Matrix:
    table = rows.pivot(index="seed", columns="scene", values="value").dropna(axis=1, how="all")
    return Matrix(list(table.index), list(table.columns), table.to_numpy(dtype=float))


def collect_figures(records: Records, arms: list[str], folder: Path) -> list[Path]:
    """Copy the figures of each arm's first finished seed into `folder`; returns the copies."""
    copies = []
    for arm in dict.fromkeys(arms):
        rows = records.runs[(records.runs["arm"] == arm) & records.runs["finished"]]
        if rows.empty:
            continue
        run_id = rows.sort_values("seed")["run_id"].iloc[0]
        source = run_directory(records.output_dir, run_id) / "figures"
        for image in sorted(source.glob("*.png")):
            folder.mkdir(parents=True, exist_ok=True)
            copies.append(Path(shutil.copyfile(image, folder / f"{arm}-{image.name}")))
    return copies


def _read_runs(output_dir: Path, plan: Plan) -> pd.DataFrame:
    known = {run.run_id: None for run in plan.runs}
    facts = {run_id: _run_facts(run_directory(output_dir, run_id)) for run_id in known}
    rows = []
    for run in plan.runs:
        arm = plan.arm(run.arm)
        rows.append(
            {
                "run_id": run.run_id,
                "arm": arm.name,
                "formulation": arm.formulation,
                "seed": run.seed,
                "unlabelled_clips": arm.unlabelled_clips,
                "labelled_clips": arm.labelled_clips,
                "yardstick": arm.yardstick,
                **facts[run.run_id],
            }
        )
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def _run_facts(directory: Path) -> dict[str, Any]:
    status = _optional_json(directory / "status.json")
    provenance = _optional_json(directory / "provenance.json")
    state = status.get("state", "pending")
    parameters = provenance.get("parameters")
    spec = _optional_json(directory / "spec.json").get("spec") or {}
    batch = spec.get("batch") or {}
    return {
        "state": state,
        "reason": status.get("reason"),
        "attempts": status.get("attempts", 0),
        "finished": state == "done" and (directory / "evaluation.json").is_file(),
        "step": status.get("step"),
        "total_steps": status.get("total_steps"),
        "clips_per_step": sum(batch[part] for part in BATCH_PARTS if part in batch) or None,
        **_start(spec.get("initialisation") or {}),
        "train_seconds": status.get("train_seconds"),
        "seconds": status.get("seconds"),
        "parameters": sum(parameters.values()) if parameters else None,
        "peak_memory_bytes": provenance.get("peak_memory_bytes"),
        "git_commit": provenance.get("git_commit"),
        "git_dirty": provenance.get("git_dirty"),
        "device": provenance.get("device"),
        "torch": (provenance.get("packages") or {}).get("torch"),
    }


def _start(initialisation: Mapping[str, Any]) -> dict[str, str | None]:
    """Where the initial weights came from, and which flow heads were among them."""
    kind = initialisation.get("kind")
    if kind != "pretrain":
        return {"initialisation": kind, "pretrained_heads": ""}
    heads = (initialisation.get("pretrain") or {}).get("formulations") or []
    return {"initialisation": kind, "pretrained_heads": " ".join(head["name"] for head in heads)}


def _optional_json(path: Path) -> Mapping[str, Any]:
    return _object(path) if path.is_file() else {}


def _object(path: Path) -> Mapping[str, Any]:
    try:
        value = read_json(path)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: damaged JSON ({error})") from None
    if not isinstance(value, Mapping):
        raise DataError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _read_evaluation(path: Path) -> Mapping[str, Any]:
    evaluation = _object(path)
    benchmarks = evaluation.get("benchmarks")
    if not isinstance(benchmarks, Mapping) or not benchmarks:
        raise DataError(f"{path}: holds no benchmarks")
    for name, benchmark in benchmarks.items():
        scenes = [row["scene"] for row in benchmark["scenes"]]
        if len(set(scenes)) != len(scenes):
            raise DataError(f"{path}: benchmark {name!r} scores a scene twice")
    return benchmarks


def _check_fingerprints(evaluations: Mapping[str, Mapping[str, Any]]) -> None:
    """Pairing over scenes is meaningless unless all runs were scored on the same data."""
    first: dict[str, tuple[str, str]] = {}
    for run_id, benchmarks in evaluations.items():
        for name, benchmark in benchmarks.items():
            fingerprint = benchmark.get("fingerprint")
            other, known = first.setdefault(name, (run_id, fingerprint))
            if fingerprint != known:
                raise DataError(
                    f"benchmark {name!r}: run {run_id} was scored on data {fingerprint}, run "
                    f"{other} on {known}; scores on different data cannot be paired"
                )


def _scores(evaluations: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        (run_id, name, scene["scene"], metric, value)
        for run_id, benchmarks in evaluations.items()
        for name, benchmark in benchmarks.items()
        for scene in benchmark["scenes"]
        for metric, value in scene["metrics"].items()
    ]
    scores = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    scores["value"] = scores["value"].astype(float)
    scores.loc[~np.isfinite(scores["value"]), "value"] = np.nan
    return scores


def _chance(evaluations: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Chance depends on the benchmark's data only, so one run's statement stands for all."""
    found: dict[tuple[str, str], float] = {}
    for benchmarks in evaluations.values():
        for name, benchmark in benchmarks.items():
            for metric, value in (benchmark.get("chance") or {}).items():
                found.setdefault((name, metric), float(value))
    rows = [(*key, value) for key, value in found.items()]
    return pd.DataFrame(rows, columns=["benchmark", "metric", "value"])


def _read_curve(directory: Path) -> pd.DataFrame:
    path = directory / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break  # the writer is at work on the last line of a running run
            raise DataError(f"{path}, line {number}: damaged JSON ({error})") from None
        for metric, value in entry["metrics"].items():
            rows.append((entry["step"], entry.get("stage"), metric, value))
    curve = pd.DataFrame(rows, columns=["step", "stage", "metric", "value"])
    return curve.astype({"step": "int64", "value": "float64"})
