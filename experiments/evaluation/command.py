"""`evaluate.py evaluation=...`: one model or one folder of predictions on some benchmarks."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
from experiments.execute import StopFlag
from experiments.exit_codes import DONE, INTERRUPTED
from experiments.protocols import load_protocol
from experiments.rundir import RunDirectory
from experiments.threads import limit_threads
from experiments.work import evaluation
from flow3r.config import require
from flow3r.errors import ConfigError
from flow3r.evaluation.names import metric
from flow3r.files import read_json

OWN = ("evaluation", *KINDS, "output_dir", "device", "precision", "memory", "threads")
PATH = "path"


def evaluate_benchmarks(given: Mapping[str, str]) -> int:
    """Evaluate, print one table and say where it is; the exit code.

    A finished evaluation is scored again from its predictions. Everything that can be wrong with
    the command is found before the first model runs.
    """
    own, paths, changes = _sorted(given)
    names = [name.strip() for name in own["evaluation"].strip("[]").split(",") if name.strip()]
    require(bool(names), "evaluation= names no benchmark; see --help")
    source = _source(own)
    device = own.get("device", "auto")
    precision = precision_name(source, own.get("precision", "auto"), device)
    planned = [_plan(name, source, paths, changes, precision) for name in names]
    threads = _threads(own.get("threads"))
    limit_threads(threads)
    runtime = {"device": device, "threads": threads, "memory": parse_memory(own.get("memory"))}
    output_dir = Path(own.get("output_dir", "outputs")).resolve()
    stop = StopFlag().install()
    records = {}
    for one in planned:
        directory = _evaluate(one, output_dir, runtime, stop)
        if directory is None:
            print("stopped; the same command continues")
            return INTERRUPTED
        records[one.spec["benchmark"]] = read_json(directory / "evaluation.json")
        print(f"evaluation: {directory}")
    print(summary_text(records))
    return DONE


def summary_text(records: Mapping[str, Mapping[str, Any]]) -> str:
    """A row per metric, a column per benchmark."""
    found = [name for record in records.values() for name in record["summary"]]
    rows = list(dict.fromkeys(found))
    width = max(map(len, [*rows, "sequences"]))
    columns = {name: max(10, len(name)) for name in records}
    lines = [" " * width + "".join(f"  {name:>{size}}" for name, size in columns.items())]
    for row in rows:
        cells = []
        for name, size in columns.items():
            value = records[name]["summary"].get(row)
            text = "-" if value is None else f"{value:.{metric(row).decimals}f}"
            cells.append(f"  {text:>{size}}")
        lines.append(f"{row:{width}}" + "".join(cells))
    counts = (f"  {len(records[name]['scenes']):>{size}}" for name, size in columns.items())
    return "\n".join([*lines, f"{'sequences':{width}}" + "".join(counts)])


def _sorted(
    given: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
    """The command's own words, paths by benchmark ('' for all), changes of the protocols."""
    own, paths, changes = {}, {}, {}
    for name, value in given.items():
        if name in OWN:
            own[name] = value
        elif name == PATH or name.startswith(f"{PATH}."):
            paths[name.removeprefix(PATH).removeprefix(".")] = value
        else:
            changes[name] = _value(name, value)
    return own, paths, changes


def _value(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"{name}={text!r} is no value (YAML)") from None


def _source(own: Mapping[str, str]) -> Source:
    kinds = [kind for kind in KINDS if kind in own]
    require(
        len(kinds) == 1,
        "evaluation= needs one of weights=FILE, run=<run directory> and predictions=FOLDER"
        + (f"; {' and '.join(kinds)} are given" if kinds else ""),
    )
    return find_source(kinds[0], Path(own[kinds[0]]))


def _plan(
    name: str,
    source: Source,
    paths: Mapping[str, str],
    changes: Mapping[str, Any],
    precision: str,
) -> PlannedEvaluation:
    protocol = load_protocol(name, changes)
    path = paths.get(name, paths.get(""))
    require(
        path is not None,
        f"evaluation={name} needs path=<folder of dataset {protocol.dataset}>, or "
        f"path.{name}= where several benchmarks are named",
    )
    dataset = open_benchmark_data(protocol, Path(path))
    protocol, changed = fitted(protocol, changes, source)
    return plan_evaluation(source, protocol, dataset, changed, precision)


def _threads(text: str | None) -> int:
    if text is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    require(text.isdecimal() and int(text) >= 1, f"threads={text!r} must be a whole number >= 1")
    return int(text)


def _evaluate(
    planned: PlannedEvaluation, output_dir: Path, runtime: dict[str, Any], stop: StopFlag
) -> Path | None:
    """The directory of the finished evaluation; None when stopped."""
    path = output_dir / "evaluations" / planned.id
    directory = RunDirectory.create(path, KIND, planned.id, planned.spec, runtime)
    directory.begin()
    content = {**directory.spec(), "spec": planned.spec, "runtime": runtime}
    try:
        complete = evaluation.work(directory, content, stop)
    except Exception as error:
        directory.end("failed", str(error))
        raise
    directory.end("done" if complete else "interrupted", None if complete else "stopped by signal")
    return path if complete else None
