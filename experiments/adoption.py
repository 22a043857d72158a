"""A run whose training another run has done: it takes over the result and is only evaluated.

Which test sets a run is scored on is part of its identity, but nothing of its training. Validation
sets and how they are evaluated are: their curves are recorded while it trains.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from experiments.identity import run_id
from experiments.recording import CHECKPOINT
from experiments.rundir import RunDirectory, read_status
from flow3r.files import read_json, write_atomically, write_json

PROVENANCE, METRICS = "provenance.json", "metrics.jsonl"


def training_id(spec: dict[str, Any]) -> str:
    """Equal for run specs whose training, with everything recorded in it, is the same."""
    data = {name: value for name, value in spec["data"].items() if name != "test"}
    return run_id({**spec, "data": data})


def adopt_training(directory: RunDirectory) -> str | None:
    """Give a run that has not begun to train the checkpoint, curves and provenance of a finished
    one that was trained as it would be; returns that run's id, or None where there is none.

    Training then continues after its last step: there is nothing left to do but to evaluate.
    """
    if directory.done or (directory.path / CHECKPOINT).exists():
        return None
    twin = _finished_twin(directory)
    if twin is None:
        return None
    status, provenance = read_status(twin) or {}, read_json(twin / PROVENANCE)
    origin = {"run": twin.name, "train_seconds": status["train_seconds"]}
    record = {**provenance, "trained_by": provenance.get("trained_by", origin)}
    write_json(directory.path / PROVENANCE, record)
    # Lines are appended to the curves, so they are copied; a checkpoint is only ever replaced. It
    # comes last: with it the run counts as trained.
    write_atomically(directory.path / METRICS, lambda path: _copy(twin / METRICS, path))
    write_atomically(directory.path / CHECKPOINT, lambda path: _link(twin / CHECKPOINT, path))
    return twin.name


def adopted_seconds(directory: RunDirectory) -> float | None:
    """Seconds of the training that was taken over; None for a run that trains itself."""
    path = directory.path / PROVENANCE
    origin = read_json(path).get("trained_by") if path.exists() else None
    return None if origin is None else origin["train_seconds"]


def _finished_twin(directory: RunDirectory) -> Path | None:
    wanted = training_id(directory.spec()["spec"])
    for path in sorted(directory.path.parent.iterdir()):
        other = RunDirectory(path)
        whole = all((path / name).exists() for name in ("spec.json", CHECKPOINT, METRICS))
        if path != directory.path and whole and other.done:
            content = other.spec()
            if content["kind"] == "run" and training_id(content["spec"]) == wanted:
                return path
    return None


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    target.unlink()
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
