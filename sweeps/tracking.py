"""Run directories -> MLflow. A projection: complete, idempotent, rebuilt at any time.

One experiment per sweep, flat runs. How far a run was projected is kept in a tag of the MLflow run
itself, so it lives and dies with the store. Everything here runs in the one tracker process.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from experiments.rundir import read_status
from flow3r.files import read_json
from sweeps import states
from sweeps.metrics_tail import Cursor, Point, read_new
from sweeps.pages import run_note

# MLflow's UI hides tags that start with "mlflow.".
CURSOR_TAG = "mlflow.harness.cursor"
_METRICS_PER_BATCH = 1000
_PARAMS_PER_BATCH = 100
_LONGEST_PARAM = 6000  # MLflow cuts longer ones without a word; the whole spec is an artifact
_MLFLOW_STATE = {
    states.RUNNING: "RUNNING",
    states.DONE: "FINISHED",
    states.FAILED: "FAILED",
    states.INTERRUPTED: "KILLED",
}


class RunProjection:
    """The MLflow run of one run directory."""

    def __init__(self, client: MlflowClient, directory: Path, run: Run) -> None:
        self._client = client
        self._directory = directory
        self._id = run.info.run_id
        self._state = run.info.status
        saved = json.loads(run.data.tags.get(CURSOR_TAG, "{}"))
        self._files: dict[str, list[int]] = saved.get("files", {})
        self._cursor = Cursor(**saved["metrics"]) if "metrics" in saved else Cursor()
        self._seen: tuple | None = None

    def sync(self) -> int:
        """Bring MLflow up to date; returns the number of metric values written."""
        look = self._look()
        if look == self._seen:
            return 0
        points, flags, cursor = read_new(self._directory / "metrics.jsonl", self._cursor)
        points += self._benchmark_points()
        tags = {f"nonfinite.{key}": text for key, text in flags.items()} | self._state_tags()
        changed = self._upload_files()
        if points or changed or cursor != self._cursor:
            saved = {"metrics": cursor.to_mapping(), "files": self._files}
            tags[CURSOR_TAG] = json.dumps(saved, separators=(",", ":"))
        # The points go first: if the process dies before the cursor is stored they are sent again,
        # and MLflow drops a point that it has with the same key, step, time and value.
        for i in range(0, len(points), _METRICS_PER_BATCH):
            metrics = [_metric(point) for point in points[i : i + _METRICS_PER_BATCH]]
            self._client.log_batch(self._id, metrics=metrics)
        self._client.log_batch(self._id, tags=[RunTag(k, v) for k, v in tags.items()])
        self._cursor = cursor
        self._update_state()
        self._seen = look
        return len(points)

    def _look(self) -> tuple:
        """What changes when there is something to do; cheap (a stat per file)."""
        paths = [self._directory / "metrics.jsonl", *self._artifacts()]
        stats = tuple((p.stat().st_size, p.stat().st_mtime_ns) for p in paths if p.exists())
        return stats, states.state_of(self._directory)

    def _benchmark_points(self) -> list[Point]:
        path = self._directory / "evaluation.json"
        if not path.exists() or self._files.get(path.name) == _stamp(path):
            return []
        evaluation = read_json(path)
        moment = round(path.stat().st_mtime * 1000)
        return [
            # One score per run has no curve. MLflow draws such a metric as bars, but only while
            # every run has it at step 0; at the last step it would be dots in an empty plot.
            Point(f"test/{name}/{metric}", value, 0, moment)
            for name, benchmark in evaluation["benchmarks"].items()
            for metric, value in benchmark["summary"].items()
            if value is not None
        ]

    def _artifacts(self) -> list[Path]:
        names = ("spec.json", "provenance.json", "evaluation.json")
        figures = sorted((self._directory / "figures").glob("*.png"))
        ended = states.state_of(self._directory) in (states.DONE, states.FAILED)
        log = [self._directory / "log.txt"] if ended else []
        return [self._directory / name for name in names] + figures + log

    def _upload_files(self) -> bool:
        changed = False
        for path in self._artifacts():
            name = str(path.relative_to(self._directory))
            if not path.exists() or self._files.get(name) == _stamp(path):
                continue
            folder = None if path.parent == self._directory else path.parent.name
            self._client.log_artifact(self._id, str(path), folder)
            if name == "provenance.json":
                self._log_provenance(read_json(path))
            self._files[name] = _stamp(path)
            changed = True
        return changed

    def _log_provenance(self, provenance: dict[str, Any]) -> None:
        tags = {"git_commit": str(provenance.get("git_commit"))}
        tags["mlflow.source.git.commit"] = tags["git_commit"]
        for name in ("git_dirty", "python", "device", "host", "peak_memory_bytes"):
            if name in provenance:
                tags[name] = str(provenance[name])
        for part, count in (provenance.get("parameters") or {}).items():
            tags[f"parameters.{part}"] = str(count)
        self._client.log_batch(self._id, tags=[RunTag(k, v) for k, v in tags.items()])
        inputs = [
            DatasetInput(
                Dataset(name, str(digest)[:36], "run directory", str(self._directory)),
                [InputTag("mlflow.data.context", name)],
            )
            for name, digest in (provenance.get("data_fingerprints") or {}).items()
        ]
        if inputs:
            self._client.log_inputs(self._id, inputs)

    def _state_tags(self) -> dict[str, str]:
        status = read_status(self._directory) or {}
        tags = {"state": states.state_of(self._directory)}
        for name in ("reason", "attempts", "stage", "train_seconds", "seconds"):
            if status.get(name) is not None:
                value = status[name]
                tags[name] = f"{value:.1f}" if isinstance(value, float) else str(value)[:5000]
        return tags

    def _update_state(self) -> None:
        state = _MLFLOW_STATE.get(states.state_of(self._directory), "RUNNING")
        if state == self._state:
            return
        if state == "RUNNING":
            self._client.update_run(self._id, status=state)
        else:
            status = read_status(self._directory) or {}
            ended = status.get("finished") or status.get("updated")
            self._client.set_terminated(self._id, state, _milliseconds(ended))
        self._state = state


def create_run(
    client: MlflowClient, experiment: str, sweep: str, run: dict[str, Any], directory: Path
) -> Run:
    """Make the MLflow run of a run directory with its parameters and fixed tags.

    `run`: as `planned_runs` gives it.
    """
    spec = read_json(directory / "spec.json")["spec"]
    status = read_status(directory) or {}
    tags = {
        "sweep": sweep,
        "arm": ", ".join(run["arms"]),
        "formulation": run["formulation"],
        "seed": str(run["seed"]),
        "unlabelled_clips": str(run["unlabelled_clips"]),
        "labelled_clips": str(run["labelled_clips"]),
        "run_id": run["run_id"],
        "mlflow.runColor": run["colour"],
        "mlflow.note.content": run_note(run, directory),
        "mlflow.source.name": "experiments/train.py",
        "mlflow.source.type": "LOCAL",
    }
    made = client.create_run(
        experiment,
        start_time=_milliseconds(status.get("started")),
        tags=tags,
        run_name=run["label"],
    )
    params = [Param(k, v) for k, v in flatten(spec).items() if 0 < len(v) <= _LONGEST_PARAM]
    for i in range(0, len(params), _PARAMS_PER_BATCH):
        client.log_batch(made.info.run_id, params=params[i : i + _PARAMS_PER_BATCH])
    return made


def flatten(spec: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted names -> text: {"data": {"clips": 16}} becomes {"data.clips": "16"}."""
    flat: dict[str, str] = {}
    for key, value in spec.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _metric(point: Point) -> Metric:
    return Metric(point.key, point.value, point.milliseconds, point.step)


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _milliseconds(moment: str | None) -> int:
    seconds = time.time() if moment is None else datetime.fromisoformat(moment).timestamp()
    return round(seconds * 1000)
