"""The files of a run or stage directory: the truth about what was run."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments import failure
from experiments.migrations import migrated
from flow3r.errors import DataError
from flow3r.files import naming, read_json, remove_unfinished, write_json, write_text

STATES = ("running", "done", "failed", "interrupted")
HEARTBEAT_SECONDS = 3.0
STALE_SECONDS = 120.0


def now() -> str:
    """The present time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_status(directory: Path) -> dict[str, Any] | None:
    """The directory's status, or None if nothing was ever started there."""
    path = directory / "status.json"
    return read_json(path) if path.exists() else None


def is_stale(status: dict[str, Any]) -> bool:
    """True for a `running` status whose process is gone or whose heartbeat stopped."""
    if status["state"] != "running":
        return False
    if status["host"] == socket.gethostname() and not _alive(status["pid"]):
        return True
    age = datetime.now(UTC) - datetime.fromisoformat(status["updated"])
    return age.total_seconds() > STALE_SECONDS


def end_of_attempt(status: dict[str, Any]) -> dict[str, Any]:
    """The entry of the history for the attempt that a status tells of, which is over."""
    end = {name: status.get(name) for name in ("state", "failure", "reason")}
    if end["state"] == "running":  # nobody was left to write down how it ended
        end = {"state": "interrupted", "failure": failure.KILLED, "reason": "ended without a word"}
    return {"attempt": status["attempts"], **end, "time": status["updated"]}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Dead, but not yet waited for by its parent; only Linux tells."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return False
    return stat.read_text().rpartition(")")[2].split()[0] == "Z"


class RunDirectory:
    """One run or stage directory, as its own process sees it."""

    def __init__(self, path: Path):
        self.path = path
        self.status: dict[str, Any] = {}
        self._beat = 0.0

    @classmethod
    def create(
        cls, path: Path, kind: str, identity: str, spec: dict[str, Any], runtime: dict[str, Any]
    ) -> RunDirectory:
        """Make the directory and write its spec.

        An existing spec of the same id is kept; what remains to be done there is done with the
        runtime settings given now.
        """
        directory = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot create {path}: {error}; choose another output_dir") from None
        content = {"schema": 1, "kind": kind, "id": identity, "spec": spec, "runtime": runtime}
        if not (path / "spec.json").exists():
            write_json(path / "spec.json", content)
        elif not directory.done and directory.spec()["runtime"] != runtime:
            write_json(path / "spec.json", {**directory.spec(), "runtime": runtime})
        return directory

    @property
    def done(self) -> bool:
        """Whether an earlier attempt has finished the work."""
        status = read_status(self.path)
        return status is not None and status["state"] == "done"

    @property
    def output_dir(self) -> Path:
        """The folder that holds runs/ and stages/."""
        return self.path.parent.parent

    def spec(self) -> dict[str, Any]:
        """The content of spec.json, a run's spec in the words of the present schema.

        DataError if it is missing, or newer than this code.
        """
        path = self.path / "spec.json"
        if not path.exists():
            raise DataError(f"{path} is missing; a run directory has a spec.json")
        content = read_json(path)
        if content["kind"] != "run":
            return content
        try:
            return {**content, "spec": migrated(content["spec"])}
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def begin(self) -> None:
        """Mark the directory as running, one attempt more, and tidy up after killed ones."""
        remove_unfinished(self.path)
        before = read_status(self.path)
        started = before["started"] if before else now()
        history = [*before.get("history", ()), end_of_attempt(before)] if before else []
        self.status = {
            "state": "running",
            "reason": None,
            "failure": None,
            "history": history,
            "attempts": (before["attempts"] if before else 0) + 1,
            "started": started,
            "updated": now(),
            "finished": None,
            "stage": "start",
            "step": 0,
            "total_steps": 0,
            "train_seconds": before["train_seconds"] if before else 0.0,
            "validate_seconds": before.get("validate_seconds", 0.0) if before else 0.0,
            "evaluate_seconds": before.get("evaluate_seconds", 0.0) if before else 0.0,
            "seconds": before["seconds"] if before else 0.0,
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        self._write_status()

    def update(self, **values: Any) -> None:
        """Change some values of the status and renew the heartbeat."""
        self.status.update(values, updated=now())
        self._write_status()

    def alive(self) -> None:
        """Renew the heartbeat if it is due: call it as often as you like."""
        if time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self.update()

    def end(self, state: str, reason: str | None = None, failure: str | None = None) -> None:
        """Record how the attempt ended; `failure` is a name of `experiments.failure`."""
        finished = now() if state == "done" else None
        self.update(state=state, reason=reason, failure=failure, finished=finished)

    def _write_status(self) -> None:
        self._beat = time.monotonic()
        write_json(self.path / "status.json", self.status)

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        path = self.path / "metrics.jsonl"
        with naming(path), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def truncate_metrics(self, step: int) -> None:
        """Drop the lines after `step`: they will be written again by the resumed run."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            kept = [json.dumps(r) for r in read_metrics(self.path) if r["step"] <= step]
            write_text(path, "".join(line + "\n" for line in kept))


def read_metrics(directory: Path) -> Iterator[dict[str, Any]]:
    """The records of metrics.jsonl; a last line cut short by a kill is left out."""
    path = directory / "metrics.jsonl"
    if not path.exists():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
