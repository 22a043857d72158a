"""One MLflow run of ours: written in batches, never twice, and without touching what people add.

How far it was written is kept in a tag of the MLflow run itself, so it lives and dies with the
store; it is read again before every writing, as another tracker may have written meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag, ViewType

from sweeps.tracking.metrics_tail import Point
from sweeps.tracking.parameters import valid_name

# MLflow's UI hides tags that start with "mlflow.".
CURSOR_TAG = "mlflow.harness.cursor"
NOTE_TAG = "mlflow.note.content"
_HIDDEN = "mlflow."
_METRICS_PER_BATCH = 1000
_ENTRIES_PER_BATCH = 100  # parameters and tags
_LONGEST_TAG = 5000


class Contradiction(Exception):  # noqa: N818 - not an error: the store is to be made to agree
    """MLflow, which cannot change a point, has another value for a key and step than the files."""


class TrackedRun:
    """An MLflow run and what we know to have written to it."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.id = run_id
        self._client = client
        self._run: Run | None = None
        self.saved: dict[str, Any] = {}

    def read(self) -> None:
        """Look at what MLflow has now; before anything else."""
        self._run = self._client.get_run(self.id)
        self.saved = saved_state(self._run)

    @property
    def tags(self) -> Mapping[str, str]:
        return self._run.data.tags

    def add_parameters(self, wanted: Mapping[str, str]) -> None:
        """Log the parameters that are not there: a killed tracker may have left some out."""
        have = self._run.data.params
        named = {valid_name(key): text for key, text in wanted.items()}
        missing = [Param(key, text) for key, text in named.items() if key not in have]
        for batch in _batches(missing, _ENTRIES_PER_BATCH):
            self._client.log_batch(self.id, params=batch)

    def add_points(self, points: Sequence[Point], from_start: bool) -> int:
        """Log the points that are not there, and return their number.

        `from_start`: these are all points of their keys, so each is compared with what MLflow has;
        otherwise they are the latest ones. Raises Contradiction.
        """
        fresh = self._compared(points) if from_start else self._later(points)
        for batch in _batches([_metric(point) for point in fresh], _METRICS_PER_BATCH):
            self._client.log_batch(self.id, metrics=batch)
        return len(fresh)

    def _later(self, points: Sequence[Point]) -> list[Point]:
        last = {metric.key: metric.step for metric in self._run.data.to_proto().metrics}
        return [point for point in points if point.step > last.get(valid_name(point.key), -1)]

    def _compared(self, points: Sequence[Point]) -> list[Point]:
        keys = {valid_name(point.key) for point in points} & set(self._run.data.metrics)
        known = {
            (key, metric.step): metric.value
            for key in sorted(keys)
            for metric in self._client.get_metric_history(self.id, key)
        }
        for point in points:
            found = known.get((valid_name(point.key), point.step), point.value)
            if found != point.value:
                raise Contradiction(
                    f"{point.key} at step {point.step} is {point.value}, MLflow has {found}"
                )
        return [point for point in points if (valid_name(point.key), point.step) not in known]

    def is_news(self, path: Path) -> bool:
        """Whether a record of the run directory is there and not uploaded as it is now."""
        return path.exists() and self.saved.get("files", {}).get(path.name) != stamp(path)

    def upload(self, folder: Path, paths: Iterable[Path]) -> None:
        """Copy files that are new or changed; they keep their place below `folder`."""
        files = self.saved.setdefault("files", {})
        for path in paths:
            name = path.relative_to(folder).as_posix()
            if not path.exists() or files.get(name) == stamp(path):
                continue
            parent = path.relative_to(folder).parent.as_posix()
            before = stamp(path)
            self._client.log_artifact(self.id, str(path), None if parent == "." else parent)
            files[name] = before

    def describe(self, wanted: Mapping[str, str], note: str) -> None:
        """Make our tags and the description what they should be, then save how far we are.

        Tags that are not wanted any more go; tags and descriptions of people stay.
        """
        wanted = {valid_name(key): text[:_LONGEST_TAG] for key, text in wanted.items()}
        for key in set(self.saved.get("tags", ())).difference(wanted):
            if key in self.tags:
                self._client.delete_tag(self.id, key)
        self.saved["tags"] = sorted(wanted)
        shown = self.tags.get(NOTE_TAG)
        if shown is None or "note" not in self.saved or _digest(shown) == self.saved["note"]:
            wanted[NOTE_TAG] = note
            self.saved["note"] = _digest(note)
        wanted[CURSOR_TAG] = json.dumps(self.saved, separators=(",", ":"))
        changed = [RunTag(k, text) for k, text in wanted.items() if self.tags.get(k) != text]
        # The cursor is last: what is written before it is found there by the next tracker.
        for batch in _batches(changed, _ENTRIES_PER_BATCH):
            self._client.log_batch(self.id, tags=batch)

    def set_state(self, state: str, ended: int | None) -> None:
        """MLflow's own state; `ended` in milliseconds, None while it runs."""
        info = self._run.info
        if ended is None and info.status != state:
            self._client.update_run(self.id, status=state)
        elif ended is not None and (info.status, info.end_time) != (state, ended):
            self._client.set_terminated(self.id, state, ended)


def create_run(
    client: MlflowClient,
    experiment: str,
    identity: tuple[str, str],
    name: str,
    start: int | None = None,
    colour: str | None = None,
) -> TrackedRun:
    """Make an MLflow run; `identity` is the tag by which it is found again, `start` milliseconds.

    Where MLflow's trash has an earlier one, the tags and the description that people gave it are
    taken over.
    """
    tags = _words_of_people(client, experiment, identity)
    tags |= {identity[0]: identity[1], CURSOR_TAG: json.dumps({"made": time.time()})}
    if NOTE_TAG in tags:
        tags[CURSOR_TAG] = json.dumps({"made": time.time(), "note": ""})
    if colour is not None:
        tags["mlflow.runColor"] = colour
    made = client.create_run(experiment, start_time=start, tags=tags, run_name=name)
    return TrackedRun(client, made.info.run_id)


def find_run(client: MlflowClient, experiment: str, identity: tuple[str, str]) -> TrackedRun | None:
    """The run with this tag that is not in the trash."""
    found = client.search_runs([experiment], _condition(identity), max_results=1)
    return TrackedRun(client, found[0].info.run_id) if found else None


def saved_state(run: Run) -> dict[str, Any]:
    """What a tracker keeps in the run: how far it is, and which tags are its own."""
    return json.loads(run.data.tags.get(CURSOR_TAG, "{}"))


def stamp(path: Path) -> list[int]:
    """Changes when the file is written."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _words_of_people(
    client: MlflowClient, experiment: str, identity: tuple[str, str]
) -> dict[str, str]:
    deleted = client.search_runs([experiment], _condition(identity), ViewType.DELETED_ONLY)
    if not deleted:
        return {}
    newest = max(deleted, key=lambda run: saved_state(run).get("made", 0.0))
    tags, saved = newest.data.tags, saved_state(newest)
    ours = {identity[0], *saved.get("tags", tags)}
    kept = {k: v for k, v in tags.items() if k not in ours and not k.startswith(_HIDDEN)}
    note = tags.get(NOTE_TAG)
    if note is not None and "note" in saved and _digest(note) != saved["note"]:
        kept[NOTE_TAG] = note
    return kept


def _condition(identity: tuple[str, str]) -> str:
    return f"tags.{identity[0]} = '{identity[1]}'"


def _metric(point: Point) -> Metric:
    return Metric(valid_name(point.key), point.value, point.milliseconds, point.step)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _batches(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    return (list(items[i : i + size]) for i in range(0, len(items), size))
