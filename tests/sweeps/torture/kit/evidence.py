"""What a sweep leaves behind, without times: equal for two sweeps that did the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from experiments.rundir import read_metrics, read_status
from flow3r.files import read_json

TAGS = re.compile(
    "sweep|arm|formulation|seed|unlabelled_clips|labelled_clips|run_id|state|git_commit|study"
    r"|complete|parameters\..*|mlflow\.run(Name|Color)"
)
"""Those that say what a run is, not when, where and in how many attempts it was made."""
STEP = re.compile(r"step (\d+) \S+ loss ")
SYSTEM = "system/"
"""Metrics of the machine."""


def records(output: Path) -> dict[str, Any]:
    """Everything recorded of each run: settings, curves, scores, predictions."""
    found = {}
    for directory in sorted(output.glob("runs/*")):
        found[directory.name] = {
            "spec": read_json(directory / "spec.json")["spec"],
            "curve": [(r["step"], r["stage"], r["metrics"]) for r in read_metrics(directory)],
            "evaluation": read_json(directory / "evaluation.json"),
            "predictions": {p.name: _arrays(p) for p in sorted(directory.glob("predictions/*"))},
        }
    return found


def _arrays(path: Path) -> dict[str, tuple]:
    with np.load(path, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


def report(output: Path, sweep: str) -> dict[str, bytes]:
    """Results and tables, byte for byte; what training cost in time is left out."""
    folder = output / "reports" / sweep
    paths = [folder / "results.json", *sorted(folder.glob("tables/*"))]
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith("cost")}


def tracked(output: Path, sweep: str) -> dict[str, Any]:
    """The content of the MLflow store, by run id (`study` for the study's own run)."""
    from mlflow import MlflowClient  # seconds

    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(sweep).experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    names = [run.data.tags.get("run_id", "study") for run in runs]
    assert len(set(names)) == len(names), f"more than one MLflow run for a run: {sorted(names)}"
    return {name: _tracked_run(client, run) for name, run in zip(names, runs)}


def _tracked_run(client: Any, run: Any) -> dict[str, Any]:
    keys = sorted(key for key in run.data.metrics if not key.startswith(SYSTEM))
    histories = {key: client.get_metric_history(run.info.run_id, key) for key in keys}
    return {
        "status": run.info.status,
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if TAGS.fullmatch(k)},
        "metrics": {k: sorted((p.step, p.value) for p in h) for k, h in histories.items()},
        "inputs": sorted((i.dataset.name, i.dataset.digest) for i in run.inputs.dataset_inputs),
        "artifacts": _artifacts(client, run.info.run_id),
    }


def _artifacts(client: Any, run: str, folder: str | None = None) -> list[str]:
    found = []
    for item in client.list_artifacts(run, folder):
        found += _artifacts(client, run, item.path) if item.is_dir else [item.path]
    return sorted(found)


def step_logs(output: Path) -> dict[str, list[list[int]]]:
    """The steps that each attempt of each run reported, from log.txt."""
    return {path.parent.name: _attempts(path) for path in sorted(output.glob("runs/*/log.txt"))}


def _attempts(log: Path) -> list[list[int]]:
    attempts: list[list[int]] = []
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("--- "):
            attempts.append([])
        elif found := STEP.match(line):
            attempts[-1].append(int(found[1]))
    return attempts


def states_of(output: Path) -> dict[str, tuple[str, int]]:
    """State and number of attempts of every run and stage."""
    directories = [*sorted(output.glob("runs/*")), *sorted(output.glob("stages/*"))]
    status = {directory.name: read_status(directory) for directory in directories}
    return {name: (found["state"], found["attempts"]) for name, found in status.items()}
