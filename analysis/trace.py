"""Show the runs and scenes behind a number of the report, and compute it again from their files.

usage: python analysis/trace.py sweep=NAME arm=ARM benchmark=NAME metric=NAME
                                [baseline=ARM] [output_dir=outputs] [scenes=5]

With a baseline the number is the paired difference arm - baseline (baseline=chance: to the best
constant prediction, whose own score is traced with arm=chance). scenes=N lists the N scenes that
differ most (or are highest), scenes=all lists them all. Reads reports/NAME/{plan,results}.json and
the evaluation.json of each run. Exit code: 0 the recomputed number is the one in results.json; 1 it
is not; 2 it cannot be traced.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python puts this file's folder first, where statistics.py would hide the standard module.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):  # answered before the imports that take seconds
        print(__doc__.strip())
        sys.exit(0)

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.arguments import parse_arguments
from analysis.metrics import metric
from analysis.plan import Plan, plan_path, read_plan
from analysis.runfiles import EVALUATION, STATUS, read_object
from analysis.statistics import Estimate, estimate
from flow3r.config import require, require_choice
from flow3r.errors import ConfigError, DataError

CHANCE = "chance"
TOLERANCE = 1e-9  # relative: the order of a sum is all that may differ
SETTINGS = {"sweep": None, "arm": None, "benchmark": None, "metric": None, "baseline": "",
            "output_dir": "outputs", "scenes": "5"}  # fmt: skip


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
    """sides: the sources of the arm and, where there is one, of the baseline, by shared seed.

    values [S, K]: the number (or difference) by seed and scene; found: what follows from it.
    """

    sides: tuple[tuple[Source, ...], ...]
    scenes: tuple[str, ...]
    values: np.ndarray
    found: Estimate
    planned: int


def trace(
    output_dir: Path, sweep: str, arm: str, benchmark: str, name: str, baseline: str = ""
) -> Traced:
    """Collect what is behind a number. DataError where no finished run has it."""
    plan = read_plan(output_dir, sweep)
    metric(name)
    require_choice("arm", arm, [known.name for known in plan.arms])
    sides = [_sources(output_dir, plan, arm, benchmark, name)]
    if baseline and baseline != CHANCE:
        require_choice("baseline", baseline, [*(known.name for known in plan.arms), CHANCE])
        sides.append(_sources(output_dir, plan, baseline, benchmark, name))
    seeds = sorted(set.intersection(*({source.seed for source in side} for side in sides)))
    if not seeds:
        raise DataError(f"no finished run has {name} on {benchmark!r} for {arm} {baseline}".strip())
    kept = [[s for s in side if s.seed in seeds] for side in sides]
    scenes = _shared_scenes(kept)
    tables = [np.array([[s.values.get(k, np.nan) for k in scenes] for s in side]) for side in kept]
    values = tables[0] if len(tables) == 1 else tables[0] - tables[1]
    if baseline == CHANCE:
        values = values - _chance(kept[0])
    arms = [arm] if len(sides) == 1 else [arm, baseline]
    planned = len(set.intersection(*(plan.seeds(one) for one in arms)))
    found = estimate(values, planned=planned)
    return Traced(tuple(map(tuple, kept)), tuple(scenes), values, found, planned)


def _sources(output_dir: Path, plan: Plan, arm: str, benchmark: str, name: str) -> list[Source]:
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


def _shared_scenes(sides: Sequence[Sequence[Source]]) -> list[str]:
    """The scenes with a value in some run of every side."""
    return sorted(
        set.intersection(*(set().union(*(source.values for source in side)) for side in sides))
    )


def _chance(sources: Sequence[Source]) -> float:
    if sources[0].chance is None:
        raise DataError(f"{sources[0].path}: holds no chance level of this metric")
    return sources[0].chance


def trace_chance(output_dir: Path, sweep: str, benchmark: str, name: str) -> tuple[str, bool]:
    """Where the chance level is recorded, and whether all runs and results.json agree on it."""
    plan = read_plan(output_dir, sweep)
    metric(name)
    arms = dict.fromkeys(arm.name for arm in plan.arms)
    sources = [s for arm in arms for s in _sources(output_dir, plan, arm, benchmark, name)]
    levels = {s.path: s.chance for s in sources if s.chance is not None}
    if not levels:
        raise DataError(f"no finished run records a chance level of {name} on {benchmark!r}")
    lines = [f"sweep {sweep}: {name} of the best constant prediction on {benchmark}", ""]
    lines += [f"{level!r}  {path}" for path, level in levels.items()]
    row = reported(output_dir, sweep, {"arm": CHANCE, "benchmark": benchmark, "metric": name})
    agrees = row is not None and {row["mean"]} == set(levels.values())
    return "\n".join([*lines, "", f"results.json: {'agrees' if agrees else 'DIFFERS'}"]), agrees


def reported(output_dir: Path, sweep: str, keys: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The row of results.json with these keys; None where there is no such file or row."""
    path = plan_path(output_dir, sweep).with_name("results.json")
    if not path.is_file():
        return None
    rows = read_object(path)["comparisons" if "baseline" in keys else "arms"]
    wanted = [row for row in rows if all(row[key] == value for key, value in keys.items())]
    if wanted or "baseline" not in keys:
        return wanted[0] if wanted else None
    turned = {**keys, "arm": keys["baseline"], "baseline": keys["arm"]}
    wanted = [row for row in rows if all(row[key] == value for key, value in turned.items())]
    return _turned(wanted[0]) if wanted else None


def _turned(row: Mapping[str, Any]) -> dict[str, Any]:
    """arm - baseline out of baseline - arm."""
    low, high = (None if row[end] is None else -row[end] for end in ("high", "low"))
    return {**row, "difference": -row["difference"], "low": low, "high": high}


def disagreements(row: Mapping[str, Any], found: Estimate) -> list[str]:
    """What of a row of results.json is not what the files give; empty when all of it is."""
    mean = row["difference"] if "difference" in row else row["mean"]
    pairs = {
        "mean": (mean, found.mean),
        "low": (row["low"], found.low),
        "high": (row["high"], found.high),
        "seeds": (row["seeds"], found.seeds),
        "scenes": (row["scenes"], found.scenes),
    }
    return [f"{name}: {said} there, {own} here" for name, (said, own) in pairs.items()
            if not _equal(said, own)]  # fmt: skip


def _equal(said: float | None, own: float | None) -> bool:
    if said is None or own is None:
        return said is own
    return math.isclose(said, own, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def describe(traced: Traced, title: str, where: str, shown: int) -> str:
    """The whole text, but for the comparison with results.json."""
    found, sides = traced.found, traced.sides
    lines = [title, "", *_run_lines(traced), ""]
    lines.append(f"each value: {where}")
    for source in (source for side in sides for source in side):
        lines.append(f"  {source.path}")
    lines += ["", *_scene_lines(traced, shown), ""]
    lines.append(f"mean over {found.seeds} of {traced.planned} planned seeds: {found.mean!r}")
    if found.low is not None:
        lines.append(f"{100 * found.level:.4g} % interval: [{found.low!r}, {found.high!r}]")
    if found.note:
        lines.append(found.note)
    return "\n".join(lines)


def _run_lines(traced: Traced) -> list[str]:
    """A line per seed: run ids, each run's mean over its scenes, the difference."""
    lines = ["seed  " + "  ".join(f"{'run':<12} {'mean':>12} {'scenes':>6}" for _ in traced.sides)]
    if len(traced.sides) > 1:
        lines[0] += f"  {'difference':>12}"
    for i, sources in enumerate(zip(*traced.sides)):
        cells = [
            f"{s.run_id:<12} {np.mean(list(s.values.values())):>12.6g} {len(s.values):>6}"
            for s in sources
        ]
        line = f"{sources[0].seed:>4}  " + "  ".join(cells)
        if len(traced.sides) > 1:
            line += f"  {np.nanmean(traced.values[i]):>+12.6g}"
        lines.append(line)
    return lines


def _scene_lines(traced: Traced, shown: int) -> list[str]:
    """The scenes with the largest values, by their mean over the seeds."""
    values, scenes = traced.values, traced.scenes
    defined = ~np.isnan(values).all(axis=0)
    means = np.full(len(scenes), np.nan)
    means[defined] = np.nanmean(values[:, defined], axis=0)
    order = np.argsort(-np.abs(np.nan_to_num(means)), kind="stable")[:shown]
    lines = [f"{int(defined.sum())} scenes, from {scenes[0]} to {scenes[-1]}; by seed:"]
    for k in order:
        cells = "  ".join(f"{value:>10.5g}" for value in values[:, k])
        lines.append(f"  {scenes[k]:<24} {cells}")
    return lines


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    try:
        given = parse_arguments(arguments, SETTINGS, "trace.py")
        shown = given["scenes"]
        require(shown == "all" or shown.isdigit(), f"scenes={shown!r}: write a number, or all")
        output_dir, baseline = Path(given["output_dir"]), given["baseline"]
        keys = {name: given[name] for name in ("arm", "benchmark", "metric")}
        if keys["arm"] == CHANCE:
            where = (output_dir, given["sweep"], keys["benchmark"], keys["metric"])
            said, agrees = trace_chance(*where)
            print(said)
            return 0 if agrees else 1
        traced = trace(output_dir, given["sweep"], *keys.values(), baseline)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    arm = given["arm"] + (f" - {baseline}" if baseline else "")
    name, benchmark = given["metric"], given["benchmark"]
    title = f"sweep {given['sweep']}: {name} of {arm} on {benchmark}"
    where = f"benchmarks.{benchmark}.scenes[*].metrics.{name} of"
    print(describe(traced, title, where, len(traced.scenes) if shown == "all" else int(shown)))
    keys |= {"baseline": baseline} if baseline else {}
    row = reported(output_dir, given["sweep"], keys)
    if row is None:
        print("results.json: has no such row; python analysis/report.py makes the report")
        return 1
    wrong = disagreements(row, traced.found)
    print("results.json: " + ("agrees" if not wrong else f"DIFFERS ({'; '.join(wrong)})"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
