"""Run directories and a plan become tidy DataFrames: the only reader of records in the analysis."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import record_cache
from analysis.consistency import check_identities, check_repeats, mixtures, refuse_mixtures
from analysis.plan import Plan, plan_path, read_plan
from analysis.runfiles import RunFiles, read_run
from analysis.scores import Cube, Layout, Matrix, Scored, build_cube
from analysis.tidy import tidy_scores
from flow3r.errors import DataError

PLAN_COLUMNS = ("run_id", "arm", "formulation", "seed", "unlabelled_clips", "labelled_clips",
                "yardstick")  # fmt: skip
RUN_COLUMNS = (
    *PLAN_COLUMNS, "state", "reason", "attempts", "finished", "step", "total_steps",
    "clips_per_step", "clips_seen", "labelled_seen", "unlabelled_seen", "label_epochs",
    "initialisation", "pretrained_heads", "train_seconds", "seconds", "parameters",
    "peak_memory_bytes", "train_flops", "energy_joules", "git_commit", "git_dirty", "device",
    "torch",
)  # fmt: skip
COST_COLUMNS = (
    *PLAN_COLUMNS, "clips_seen", "train_seconds", "seconds", "parameters", "peak_memory_bytes",
)  # fmt: skip


@dataclass(frozen=True)
class Records:
    """All that is known of a sweep.

    runs: one row per planned run (RUN_COLUMNS; `finished` = done and evaluated).
    cubes: benchmark -> the scores of the finished runs.
    chance: benchmark, metric, value: the score of the best constant prediction.
    covariates: benchmark, scene, covariate, value: properties of the scenes, where recorded.
    mixed: what differs between the runs though no arm asks for it; empty unless it was allowed.
    """

    output_dir: Path
    plan: Plan
    runs: pd.DataFrame
    cubes: Mapping[str, Cube]
    chance: pd.DataFrame
    covariates: pd.DataFrame
    mixed: tuple[str, ...] = ()
    _matrices: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every planned run is finished."""
        return bool(self.runs["finished"].all())

    def benchmarks(self) -> list[str]:
        """The benchmarks with scores, `static` and `dynamic` first."""
        known = [name for name in ("static", "dynamic") if name in self.cubes]
        return known + sorted(set(self.cubes) - set(known))

    def metrics(self, benchmark: str) -> list[str]:
        """The metrics with scores on a benchmark, in alphabetical order."""
        cube = self.cubes[benchmark]
        defined = ~np.isnan(cube.values).all(axis=(0, 1))
        return [name for name, there in zip(cube.metrics, defined) if there]

    def seeds(self, arm: str) -> dict[int, str]:
        """seed -> run id of the arm's finished runs."""
        return self._finished_seeds.get(arm, {})

    def matrix(self, arm: str, benchmark: str, metric: str) -> Matrix | None:
        """The scores of an arm by seed and scene; None where it has none."""
        key = (arm, benchmark, metric)
        if key not in self._matrices:
            cube = self.cubes.get(benchmark)
            self._matrices[key] = None if cube is None else cube.matrix(self.seeds(arm), metric)
        return self._matrices[key]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The tidy table: one row per finished run x benchmark x scene x metric with a value.

        Columns: benchmark, scene, metric, value, and COST_COLUMNS of the run. A run that stands
        for two arms has rows for both. Names are categorical.
        """
        runs = self.runs.loc[self.runs["finished"], list(COST_COLUMNS)]
        return tidy_scores({name: self.cubes[name] for name in self.benchmarks()}, runs)

    @cached_property
    def _finished_seeds(self) -> dict[str, dict[int, str]]:
        found: dict[str, dict[int, str]] = {}
        rows = self.runs[self.runs["finished"]]
        for arm, seed, run_id in zip(rows["arm"], rows["seed"], rows["run_id"]):
            found.setdefault(arm, {})[int(seed)] = run_id
        return found


def load_records(output_dir: Path, sweep: str, allow_mixed: bool = False) -> Records:
    """Read a sweep, finished or not.

    Raises DataError when there is no plan or no finished run, when a file is damaged, when a run
    counts twice, and, unless `allow_mixed`, when the finished runs were made by different code or
    on different data. What is allowed to be mixed is still never paired over different scenes.
    """
    plan = read_plan(output_dir, sweep)
    files = _read_all(output_dir, plan)
    runs = _runs_table(plan, files)
    finished = {run: found for run, found in files.items() if found.facts["finished"]}
    if not finished:
        states = runs["state"].value_counts().to_dict()
        raise DataError(
            f"sweep {sweep!r}: no finished run yet under {output_dir / 'runs'} (states: {states})"
        )
    facts = {run: found.facts for run, found in finished.items()}
    scored = {run: _asked_for(found.scored, plan) for run, found in finished.items()}
    check_identities(plan, facts)
    mixed = mixtures(plan, facts, scored)
    if not allow_mixed:
        refuse_mixtures(mixed)
    cubes = _cubes(scored)
    check_repeats(plan, facts, cubes)
    layouts = _layouts(scored)
    return Records(
        output_dir, plan, runs, cubes, _chance(layouts), _covariates(layouts), tuple(mixed)
    )


def run_directory(output_dir: Path, run_id: str) -> Path:
    """Where a run's files lie."""
    return output_dir / "runs" / run_id


def score_matrices(
    records: Records, arms: list[str], benchmark: str, metric: str
) -> tuple[np.ndarray, list[int], list[str]]:
    """Scores as `values [A, S, K]` over the seeds and scenes that all the arms share.

    NaN where a scene has no value in a run. Also returns the seeds and the scenes.
    """
    found = [records.matrix(arm, benchmark, metric) for arm in arms]
    if any(matrix is None for matrix in found):
        return np.empty((len(arms), 0, 0)), [], []
    seeds = sorted(set.intersection(*(set(matrix.seeds) for matrix in found)))
    scenes = sorted(set.intersection(*(set(matrix.scenes) for matrix in found)))
    return np.stack([matrix.at(seeds, scenes) for matrix in found]), seeds, scenes


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


def run_figures(records: Records, arm: str) -> list[Path]:
    """The pictures that an arm's first finished seed wrote; none where it has not been drawn."""
    seeds = records.seeds(arm)
    if not seeds:
        return []
    return sorted((run_directory(records.output_dir, seeds[min(seeds)]) / "figures").glob("*.png"))


def _read_all(output_dir: Path, plan: Plan) -> dict[str, RunFiles]:
    """Every planned run once, from the cache where its files are unchanged."""
    path = plan_path(output_dir, plan.sweep).with_name(record_cache.NAME)
    known: dict[Layout, Layout] = {}
    cached = record_cache.load(path)
    entries: dict[str, tuple[record_cache.Stamp, RunFiles]] = {}
    parsed = 0
    for run_id in dict.fromkeys(run.run_id for run in plan.runs):
        directory = run_directory(output_dir, run_id)
        seen = record_cache.stamp(directory)
        before = cached.get(run_id)
        if before is None or before[0] != seen:
            before = (seen, read_run(directory, known))
            parsed += 1
        entries[run_id] = before
    if parsed >= record_cache.WORTHWHILE:
        record_cache.save(path, entries)
    return {run_id: files for run_id, (_, files) in entries.items()}


def _asked_for(parts: Sequence[Scored], plan: Plan) -> tuple[Scored, ...]:
    """Of the scores of a run, those on the sweep's benchmarks."""
    asked = plan.benchmarks
    return tuple(part for part in parts if asked is None or part.layout.benchmark in asked)


def _runs_table(plan: Plan, files: Mapping[str, RunFiles]) -> pd.DataFrame:
    arms = {arm.name: arm for arm in plan.arms}
    rows = []
    for run in plan.runs:
        arm = arms[run.arm]
        planned = (run.run_id, arm.name, arm.formulation, run.seed, arm.unlabelled_clips,
                   arm.labelled_clips, arm.yardstick)  # fmt: skip
        rows.append({**dict(zip(PLAN_COLUMNS, planned)), **files[run.run_id].facts})
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def _cubes(scored: Mapping[str, Sequence[Scored]]) -> dict[str, Cube]:
    """Benchmark -> scores. Scenes of data that only some runs saw keep apart by their name."""
    by_benchmark: dict[str, dict[str, Scored]] = {}
    for run_id, parts in scored.items():
        for part in parts:
            by_benchmark.setdefault(part.layout.benchmark, {})[run_id] = part
    return {name: build_cube(_kept_apart(parts)) for name, parts in by_benchmark.items()}


def _layouts(scored: Mapping[str, Sequence[Scored]]) -> list[Layout]:
    by_id = {id(part.layout): part.layout for parts in scored.values() for part in parts}
    return list(by_id.values())


def _kept_apart(parts: Mapping[str, Scored]) -> Mapping[str, Scored]:
    counts = Counter(part.layout.fingerprint for part in parts.values())
    if len(counts) == 1:
        return parts
    main = counts.most_common(1)[0][0]
    marked: dict[int, Layout] = {}
    found = {}
    for run_id, part in parts.items():
        layout = part.layout
        if layout.fingerprint != main:
            scenes = tuple(f"{scene}@{layout.fingerprint}" for scene in layout.scenes)
            layout = marked.setdefault(id(part.layout), replace(layout, scenes=scenes))
        found[run_id] = Scored(layout, part.values)
    return found


def _chance(layouts: Sequence[Layout]) -> pd.DataFrame:
    """Chance depends on the benchmark's data only, so one run's statement stands for all."""
    found: dict[tuple[str, str], float] = {}
    for layout in layouts:
        for metric, value in layout.chance:
            found.setdefault((layout.benchmark, metric), value)
    rows = [(*key, value) for key, value in found.items()]
    return pd.DataFrame(rows, columns=["benchmark", "metric", "value"])


def _covariates(layouts: Sequence[Layout]) -> pd.DataFrame:
    """Properties of the scenes, from the first run that has them."""
    found: dict[tuple[str, str, str], float] = {}
    for layout in layouts:
        for name, values in layout.covariates:
            for scene, value in zip(layout.scenes, values):
                found.setdefault((layout.benchmark, scene, name), value)
    rows = [(*key, value) for key, value in found.items()]
    return pd.DataFrame(rows, columns=["benchmark", "scene", "covariate", "value"])


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
