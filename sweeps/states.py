"""The state of a run or stage directory as it lies on disk."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from experiments.failure import PREREQUISITE, START
from experiments.rundir import end_of_attempt, is_stale, now, read_status
from flow3r.files import read_json, write_json

PENDING = "pending"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
INTERRUPTED = "interrupted"


def state_of(directory: Path) -> str:
    """pending, running, done, failed or interrupted; a dead process's `running` is interrupted."""
    status = read_status(directory)
    if status is None:
        return PENDING
    if status["state"] == RUNNING and is_stale(status):
        return INTERRUPTED
    return status["state"]


def record_outcome(directory: Path, state: str, reason: str, failure: str | None = None) -> None:
    """Write a state the child could not write itself (killed, crashed early, never started).

    `failure`: a name of `experiments.failure`. What an earlier attempt ended of stays in the
    history where this is not about an attempt: a prerequisite failed, or nothing could be started.
    """
    moment = now()
    blank: dict[str, Any] = {
        "attempts": 0,
        "started": moment,
        "stage": "",
        "step": 0,
        "total_steps": 0,
        "train_seconds": 0.0,
        "seconds": 0.0,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "history": [],
    }
    before = read_status(directory)
    status = {**blank, **(before or {})}
    if before is not None and failure in (PREREQUISITE, START):
        status["history"] = [*status["history"], end_of_attempt(before)]
    finished = moment if state == FAILED else None
    status |= {"state": state, "reason": reason, "failure": failure}
    status |= {"updated": moment, "finished": finished}
    write_json(directory / "status.json", status)


def write_spec(
    directory: Path, kind: str, identity: str, spec: dict[str, Any], runtime: dict[str, Any]
) -> None:
    """Write spec.json for the child, unless the same content is there already."""
    record = {"schema": 1, "kind": kind, "id": identity, "spec": spec, "runtime": runtime}
    path = directory / "spec.json"
    if path.exists() and read_json(path) == record:
        return
    write_json(path, record)
