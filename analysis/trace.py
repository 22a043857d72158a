"""Show the runs and scenes behind a number of the report, and compute it again from their files.

usage: python analysis/trace.py sweep=NAME arm=ARM benchmark=NAME metric=NAME
                                [baseline=ARM] [output_dir=outputs] [scenes=5]
       python analysis/trace.py sweep=NAME question=ID [output_dir=outputs] [scenes=5]

With a baseline the number is the paired difference arm - baseline (baseline=chance: to the best
constant prediction, whose own score is traced with arm=chance). With a question, it
is the number behind its verdict. scenes=N lists the N scenes that differ most (or are highest),
scenes=all lists them all. Reads reports/NAME/{plan,results}.json and
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
from pathlib import Path
from typing import Any

import numpy as np

from analysis.arguments import parse_arguments
from analysis.metrics import metric
from analysis.plan import Plan, plan_path, read_plan
from analysis.runfiles import read_object
from analysis.scaling import slope_weights
from analysis.sources import Traced, arm_sources, chance_of, trace
from analysis.statistics import LEVEL, Estimate, estimate
from flow3r.config import require, require_choice
from flow3r.errors import ConfigError, DataError

CHANCE = "chance"
TOLERANCE = 1e-9  # relative: the order of a sum is all that may differ
PLACE = ("arm", "benchmark", "metric")
SETTINGS = {"sweep": None, **dict.fromkeys((*PLACE, "baseline", "question"), ""),
            "output_dir": "outputs", "scenes": "5"}  # fmt: skip


def trace_score(
    output_dir: Path, plan: Plan, place: Mapping[str, str], baseline: str = ""
) -> tuple[Traced, Estimate]:
    """A score (`place`: arm, benchmark, metric), or its paired difference to a baseline."""
    arm, benchmark, name = (place[key] for key in PLACE)
    weights = {arm: 1.0}
    if baseline and baseline != CHANCE:
        require_choice("baseline", baseline, [*(known.name for known in plan.arms), CHANCE])
        weights[baseline] = -1.0
    found = trace(output_dir, plan, weights, benchmark, name)
    level = chance_of(found.sides[0]) if baseline == CHANCE else 0.0
    return found, estimate(found.values - level, planned=found.planned)


def trace_question(output_dir: Path, plan: Plan, row: Mapping[str, Any]) -> tuple[Traced, Estimate]:
    """The number behind a verdict. `row`: its entry in results.json."""
    if row["arm"] is None:
        curve = [arm for arm in plan.arms if plan.on_curve(arm)]
        curve.sort(key=lambda arm: arm.unlabelled_clips)
        counts = np.array([arm.unlabelled_clips for arm in curve], dtype=float)
        weights = dict(zip((arm.name for arm in curve), slope_weights(counts).tolist()))
    else:
        weights = {row["arm"]: 1.0, row["baseline"]: -1.0}
    found = trace(output_dir, plan, weights, row["benchmark"], row["metric"])
    return found, estimate(found.values, row["level"] or LEVEL)


def trace_chance(output_dir: Path, plan: Plan, benchmark: str, name: str) -> tuple[str, bool]:
    """Where the chance level is recorded, and whether all runs and results.json agree on it."""
    metric(name)
    sources = [
        source
        for arm in plan.arms
        for source in arm_sources(output_dir, plan, arm.name, benchmark, name)
    ]
    levels = {source.path: source.chance for source in sources if source.chance is not None}
    if not levels:
        raise DataError(f"no finished run records a chance level of {name} on {benchmark!r}")
    lines = [f"sweep {plan.sweep}: {name} of the best constant prediction on {benchmark}", ""]
    lines += [f"{level!r}  {path}" for path, level in levels.items()]
    row = reported(output_dir, plan.sweep, {"arm": CHANCE, "benchmark": benchmark, "metric": name})
    agrees = row is not None and {row["mean"]} == set(levels.values())
    return "\n".join([*lines, "", f"results.json: {'agrees' if agrees else 'DIFFERS'}"]), agrees


def reported(output_dir: Path, sweep: str, keys: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The row of results.json with these keys; None where there is no such file or row."""
    path = plan_path(output_dir, sweep).with_name("results.json")
    if not path.is_file():
        return None
    part = "verdicts" if "id" in keys else "comparisons" if "baseline" in keys else "arms"
    rows = read_object(path)[part]
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
    mean = next(row[key] for key in ("difference", "mean", "estimate") if key in row)
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


def describe(traced: Traced, found: Estimate, title: str, where: str, shown: int) -> str:
    """The whole text, but for the comparison with results.json."""
    lines = [title, "", *_run_lines(traced), ""]
    lines.append(f"each value: {where}")
    for source in (source for side in traced.sides for source in side):
        lines.append(f"  {source.path}")
    lines += ["", *_scene_lines(traced, shown), ""]
    lines.append(f"mean over {found.seeds} of {traced.planned} planned seeds: {found.mean!r}")
    if found.low is not None:
        lines.append(f"{100 * found.level:.4g} % interval: [{found.low!r}, {found.high!r}]")
    if found.note:
        lines.append(found.note)
    return "\n".join(lines)


def _run_lines(traced: Traced) -> list[str]:
    """A line per arm and seed: run id and the run's mean over its scenes; then the sums by seed."""
    lines = [f"{'weight':>8}  {'arm':<24} {'seed':>4}  {'run':<12} {'mean':>12} {'scenes':>6}"]
    for (arm, weight), side in zip(traced.weights.items(), traced.sides):
        lines += [
            f"{weight:>+8.4g}  {arm:<24} {s.seed:>4}  {s.run_id:<12} "
            f"{np.mean(list(s.values.values())):>12.6g} {len(s.values):>6}"
            for s in side
        ]
    if len(traced.sides) > 1:
        sums = [f"{np.nanmean(row):+.6g}" for row in traced.values]
        seeds = ", ".join(str(source.seed) for source in traced.sides[0])
        lines.append(f"weighted sum for seeds {seeds}: {', '.join(sums)}")
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


def _answer(given: Mapping[str, str], plan: Plan) -> tuple[str, bool]:
    """The text to print, and whether results.json has the recomputed number."""
    output_dir, baseline = Path(given["output_dir"]), given["baseline"]
    if given["question"]:
        ids = [question.id for question in plan.questions]
        require_choice("question", given["question"], ids)
        row = reported(output_dir, plan.sweep, {"id": given["question"]})
        if row is None:
            raise DataError("results.json has no verdicts; python analysis/report.py makes them")
        traced, found = trace_question(output_dir, plan, row)
        place, title = row, f"question {row['id']}: {row['question']}"
    else:
        missing = [f"{key}=..." for key in PLACE if not given[key]]
        require(not missing, f"{' '.join(missing)} is missing, or question=...; see --help")
        place = {key: given[key] for key in PLACE}
        if place["arm"] == CHANCE:
            return trace_chance(output_dir, plan, place["benchmark"], place["metric"])
        traced, found = trace_score(output_dir, plan, place, baseline)
        row = reported(output_dir, plan.sweep, place | ({"baseline": baseline} if baseline else {}))
        arm = place["arm"] + (f" - {baseline}" if baseline else "")
        title = f"sweep {plan.sweep}: {place['metric']} of {arm} on {place['benchmark']}"
    where = f"benchmarks.{place['benchmark']}.scenes[*].metrics.{place['metric']} of"
    shown = len(traced.scenes) if given["scenes"] == "all" else int(given["scenes"])
    text = describe(traced, found, title, where, shown)
    if row is None:
        return f"{text}\nresults.json: has no such row; analysis/report.py makes the report", False
    wrong = disagreements(row, found)
    said = f"DIFFERS ({'; '.join(wrong)})" if wrong else "agrees"
    return f"{text}\nresults.json: {said}", not wrong


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    try:
        given = parse_arguments(arguments, SETTINGS, "trace.py")
        shown = given["scenes"]
        require(shown == "all" or shown.isdigit(), f"scenes={shown!r}: write a number, or all")
        text, agrees = _answer(given, read_plan(Path(given["output_dir"]), given["sweep"]))
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text)
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
