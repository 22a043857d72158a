"""Rebuild the records of a sweep from MLflow, for a machine that has no run directories.

usage: python sweeps/fetch.py sweep=NAME to=FOLDER [tracking_uri=URI]

Writes FOLDER/runs/<run id>/ and FOLDER/reports/NAME/plan.json, so that everything in analysis/
works with output_dir=FOLDER. tracking_uri defaults to sqlite:///outputs/mlflow.db. MLflow has the
scores per scene (evaluation.json is an artifact of each run), specs, provenance, states and
curves; it has no weights and no predictions. The plan comes with the report of the sweep, so a
sweep without a report yet cannot be fetched.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):  # answered before the imports that take seconds
        print(__doc__.strip())
        sys.exit(0)

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DEFAULT_URI = "sqlite:///outputs/mlflow.db"
_ARTIFACTS = ("spec.json", "provenance.json", "evaluation.json")
_STATES = {"RUNNING": "running", "FINISHED": "done", "FAILED": "failed", "KILLED": "interrupted"}
_NAMES = ("sweep", "to", "tracking_uri")


def fetch(uri: str, sweep: str, output_dir: Path) -> int:
    """Write the records of a sweep below `output_dir`; returns the number of runs.

    Raises DataError where the sweep, its plan or a finished run's scores are not in MLflow, where a
    run is there twice, and where `output_dir` holds this sweep already.
    """
    from mlflow import MlflowClient

    folder = output_dir / "reports" / sweep
    if folder.exists():
        raise DataError(f"{folder} exists; choose a folder without this sweep for to=...")
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(sweep)
    if experiment is None:
        known = sorted(e.name for e in client.search_experiments() if e.name != "Default")
        raise DataError(f"no experiment {sweep!r} at {uri}; it has {known}")
    runs = _all_runs(client, experiment.experiment_id)
    plan = _plan(client, runs, sweep)
    wanted = dict.fromkeys(run["run_id"] for run in plan["runs"])
    found = _by_run_id(runs)
    for run_id in wanted:
        if run_id in found:
            _write_run(client, found[run_id], output_dir / "runs" / run_id)
    write_json(folder / "plan.json", plan)  # last: a folder with a plan is complete
    return sum(run_id in found for run_id in wanted)


def _all_runs(client: MlflowClient, experiment: str) -> list[Run]:
    runs, token = [], None
    while True:
        page = client.search_runs([experiment], page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _plan(client: MlflowClient, runs: Sequence[Run], sweep: str) -> dict[str, Any]:
    """The plan among the artifacts of the study run."""
    for run in runs:
        if run.data.tags.get("study") == "true":
            names = [file.path for file in client.list_artifacts(run.info.run_id)]
            if "plan.json" in names:
                return read_json(Path(client.download_artifacts(run.info.run_id, "plan.json")))
    raise DataError(
        f"sweep {sweep!r}: MLflow has no plan.json of it, which comes with the report; where the "
        f"sweep runs, python analysis/report.py sweep={sweep} makes one"
    )


def _by_run_id(runs: Sequence[Run]) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for run in runs:
        name = run.data.tags.get("run_id")
        if name is not None and found.setdefault(name, run) is not run:
            both = [found[name].info.run_id, run.info.run_id]
            raise DataError(f"run {name} is in MLflow twice, as {both}; delete one of them")
    return found


def _write_run(client: MlflowClient, run: Run, directory: Path) -> None:
    """The files of one run directory, as far as the analysis reads them."""
    tags = run.data.tags
    state = tags.get("state", _STATES.get(run.info.status, "running"))
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    if state == "done" and "evaluation.json" not in names:
        raise DataError(
            f"run {tags['run_id']} is finished, but MLflow has no evaluation.json of it, and means "
            "over scenes cannot be paired; python sweeps/track.py sync, where it ran, adds it"
        )
    for name in sorted(names.intersection(_ARTIFACTS)):
        content = read_json(Path(client.download_artifacts(run.info.run_id, name)))
        write_json(directory / name, content)
    evaluation = directory / "evaluation.json"
    step = read_json(evaluation)["step"] if evaluation.exists() else None
    status = {
        "state": state,
        "reason": tags.get("reason"),
        "attempts": int(tags.get("attempts", 0)),
        "step": step,
        "total_steps": step,
        "train_seconds": _number(tags.get("train_seconds")),
        "seconds": _number(tags.get("seconds")),
    }
    write_json(directory / "status.json", status)
    keys = sorted(key for key in run.data.metrics if not key.startswith("test/"))
    system = [key for key in keys if key.startswith("system/")]
    write_text(directory / "system.jsonl", _curves(client, run, system))
    curves = [key for key in keys if key not in system]
    write_text(directory / "metrics.jsonl", _curves(client, run, curves))


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _curves(client: MlflowClient, run: Run, keys: Sequence[str]) -> str:
    """A line of JSON per step. Scores on the test scenes are no curve."""
    steps: dict[int, tuple[float, dict[str, float]]] = {}
    for key in keys:
        for point in client.get_metric_history(run.info.run_id, key):
            steps.setdefault(point.step, (point.timestamp / 1000, {}))[1][key] = point.value
    lines = [
        json.dumps({"step": step, "time": moment, "metrics": metrics}) + "\n"
        for step, (moment, metrics) in sorted(steps.items())
    ]
    return "".join(lines)


def main(words: Sequence[str]) -> int:
    """The command; returns its exit status."""
    options = {"tracking_uri": DEFAULT_URI}
    try:
        for word in words:
            name, _, value = word.partition("=")
            if name not in _NAMES or not value:
                raise ConfigError(f"{word!r} is not understood; valid names are {list(_NAMES)}")
            options[name] = value
        missing = [f"{name}=..." for name in _NAMES if name not in options]
        if missing:
            raise ConfigError(f"{' and '.join(missing)} is missing; see --help")
        count = fetch(options["tracking_uri"], options["sweep"], Path(options["to"]))
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} runs in {options['to']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
