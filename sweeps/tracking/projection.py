"""Run directories -> MLflow. A projection: complete, idempotent, rebuilt at any time.

Flat runs, one for each run directory. Everything here runs in the one tracker process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag

from experiments.rundir import read_status
from flow3r.files import read_json
from sweeps import states
from sweeps.tracking.metrics_tail import Cursor, Point, Tail, read_new
from sweeps.tracking.pages import run_note
from sweeps.tracking.parameters import parameters
from sweeps.tracking.run_tags import planned_tags, provenance_tags, status_tags
from sweeps.tracking.tracked_run import TrackedRun, stamp

_CURVES = ("metrics.jsonl", "system.jsonl")
_RECORDS = ("spec.json", "provenance.json", "uncommitted.diff", "evaluation.json")
_FLAG = "nonfinite."
_MLFLOW_STATE = {
    states.DONE: "FINISHED",
    states.FAILED: "FAILED",
    states.INTERRUPTED: "KILLED",
}


class RunProjection:
    """The MLflow run of one run directory."""

    def __init__(self, client: MlflowClient, directory: Path) -> None:
        self._client = client
        self._directory = directory
        self._seen: tuple | None = None

    def due(self, run: Mapping[str, Any]) -> bool:
        """Whether there is something to write; `run` is its entry of `planned_runs`."""
        return (self._look(), run) != self._seen

    def sync(self, tracked: TrackedRun, sweep: str, run: Mapping[str, Any]) -> int:
        """Bring MLflow up to date; returns the number of metric values written.

        Raises Contradiction where MLflow has another value for the same key and step.
        """
        seen = (self._look(), run)
        tracked.read()
        tracked.add_parameters(parameters(read_json(self._directory / "spec.json")["spec"]))
        tails = {name: self._tail(tracked, name) for name in _CURVES}
        written = tracked.add_points(self._scores(tracked), from_start=True)
        for tail in tails.values():
            written += tracked.add_points(tail.points, tail.from_start)
        self._add_inputs(tracked)
        tracked.upload(self._directory, self._artifacts())
        tracked.saved["cursors"] = {name: asdict(tail.cursor) for name, tail in tails.items()}
        tags = planned_tags(sweep, run) | self._tags() | _flags(tracked, tails["metrics.jsonl"])
        tracked.describe(tags, run_note(run, self._directory, self._status()))
        self._update_state(tracked)
        self._seen = seen
        return written

    def _look(self) -> tuple:
        """What changes when there is something to do; cheap (a stat per file)."""
        paths = [*(self._directory / name for name in _CURVES), *self._artifacts()]
        stats = tuple((p.name, *stamp(p)) for p in paths if p.exists())
        state, status = states.state_of(self._directory), self._status()
        # A heartbeat alone is no news.
        told = [status.get(name) for name in ("attempts", "stage", "reason", "failure")]
        return stats, state, told, None if state == states.RUNNING else status.get("updated")

    def _tail(self, tracked: TrackedRun, name: str) -> Tail:
        saved = tracked.saved.get("cursors", {}).get(name, {})
        return read_new(self._directory / name, Cursor(**saved))

    def _scores(self, tracked: TrackedRun) -> list[Point]:
        path = self._directory / "evaluation.json"
        if not tracked.is_news(path):
            return []
        moment = round(path.stat().st_mtime * 1000)
        return [
            # One score per run has no curve. MLflow draws such a metric as bars, but only while
            # every run has it at step 0; at the last step it would be dots in an empty plot.
            Point(f"test/{name}/{metric}", value, 0, moment)
            for name, benchmark in read_json(path)["benchmarks"].items()
            for metric, value in benchmark["summary"].items()
            if value is not None
        ]

    def _artifacts(self) -> list[Path]:
        figures = sorted((self._directory / "figures").glob("*.png"))
        ended = states.state_of(self._directory) in (states.DONE, states.FAILED)
        names = [*_RECORDS, "log.txt"] if ended else _RECORDS
        return [self._directory / name for name in names] + figures

    def _add_inputs(self, tracked: TrackedRun) -> None:
        path = self._directory / "provenance.json"
        if not tracked.is_news(path):
            return
        inputs = [
            DatasetInput(
                Dataset(name, str(digest)[:36], "content hash", str(digest)),
                [InputTag("mlflow.data.context", name.partition("-")[0])],
            )
            for name, digest in (read_json(path).get("data_fingerprints") or {}).items()
        ]
        if inputs:
            self._client.log_inputs(tracked.id, inputs)

    def _tags(self) -> dict[str, str]:
        state = states.state_of(self._directory)
        provenance = self._directory / "provenance.json"
        tags = status_tags(self._status(), state)
        if provenance.exists():
            tags |= provenance_tags(read_json(provenance))
        weights = self._directory / "checkpoint" / "weights.pt"
        return tags | ({"weights": weights.as_uri()} if weights.exists() else {})

    def _status(self) -> dict[str, Any]:
        return read_status(self._directory) or {}

    def _update_state(self, tracked: TrackedRun) -> None:
        state = _MLFLOW_STATE.get(states.state_of(self._directory))
        if state is None:
            tracked.set_state("RUNNING", None)
        else:
            status = self._status()
            ended = status.get("finished") or status["updated"]
            tracked.set_state(state, milliseconds(ended))


def _flags(tracked: TrackedRun, tail: Tail) -> dict[str, str]:
    """The first non-finite value of each key. They outlast the reading that found them."""
    found = {f"{_FLAG}{key}": text for key, text in tail.flags.items()}
    if tail.from_start:
        return found
    return found | {key: text for key, text in tracked.tags.items() if key.startswith(_FLAG)}


def milliseconds(moment: str) -> int:
    """An ISO 8601 time as MLflow counts it."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
