"""Carry out one run or one stage in its directory, and record how it ended."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from experiments.exit_codes import DONE, FAILED, INTERRUPTED, PAUSED
from experiments.failure import failure_of
from experiments.lease import VARIABLE, renewing
from experiments.processes import SINGLE, Team
from experiments.recording import pause_reached
from experiments.rundir import RunDirectory, read_status
from experiments.stages import Stage, required_stages


class StopFlag:
    """Set by SIGTERM, SIGINT, SIGUSR1 or SIGUSR2; the work ends at the next safe point."""

    def __init__(self) -> None:
        self.set = False

    def install(self) -> StopFlag:
        """Catch the signals from now on."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, self._raise)
        return self

    def _raise(self, number: int, frame: object) -> None:
        self.set = True

    def __call__(self) -> bool:
        return self.set


def execute(directory: RunDirectory, stop: Callable[[], bool], team: Team = SINGLE) -> int:
    """Do the work of a directory unless it is done; the exit code says how it ended."""
    if directory.done:
        return DONE
    if team.rank:
        return _train_along(directory, stop, team)
    status = read_status(directory.path)
    content = directory.spec()
    directory.begin()
    started = time.monotonic()
    before = status["seconds"] if status else 0.0
    try:
        with renewing(os.environ.get(VARIABLE)):
            complete = _work(content["kind"], team)(directory, content, stop)
    except Exception as error:
        reason = team.blame(error)
        _record_failure(directory, reason, before + time.monotonic() - started)
        return FAILED
    directory.update(seconds=before + time.monotonic() - started)
    if complete:
        directory.end("done")
        return DONE
    directory.end("interrupted", _why_stopped(directory, content))
    return INTERRUPTED


def _record_failure(directory: RunDirectory, reason: str, seconds: float) -> None:
    """Write down what went wrong; where there is no room for that, it is the log's last line."""
    try:
        directory.update(seconds=seconds)
        directory.end("failed", reason, failure_of(reason))
    except OSError as error:
        print(f"status.json could not be written: {error}", file=sys.stderr)
        print(reason, file=sys.stderr)


def _why_stopped(directory: RunDirectory, content: dict) -> str:
    step = directory.status["step"]
    if content["kind"] == "run" and pause_reached(content["runtime"], step):
        return f"{PAUSED} at step {step}"
    return "stopped by signal"


def _train_along(directory: RunDirectory, stop: Callable[[], bool], team: Team) -> int:
    """The part of a process other than the first: it writes nothing."""
    try:
        complete = _work("run", team)(directory, directory.spec(), stop)
    except Exception as error:
        team.blame(error)
        return FAILED
    return DONE if complete else INTERRUPTED


def ensure_stages(spec: dict, runtime: dict, output_dir: Path, stop: Callable[[], bool]) -> int:
    """Compute the missing stages of a run one after another, in this process."""
    for stage in required_stages(spec):
        code = execute(stage_directory(stage, runtime, output_dir), stop)
        if code != DONE:
            return code
    return DONE


def stage_directory(stage: Stage, runtime: dict, output_dir: Path) -> RunDirectory:
    """The directory of a stage, created if need be."""
    path = output_dir / "stages" / stage.id
    return RunDirectory.create(path, stage.kind, stage.id, stage.spec, runtime)


def _work(kind: str, team: Team) -> Callable[[RunDirectory, dict, Callable[[], bool]], bool]:
    from experiments.work import chance, dataset, ingest, pretrain, pseudo_labels, recorded, run
    from experiments.work import evaluation as benchmark

    return {
        "run": partial(run.work, team=team),
        "dataset": dataset.work,
        "recorded": recorded.work,
        "ingest": ingest.work,
        "pseudo-labels": pseudo_labels.work,
        "pretrain": pretrain.work,
        "chance": chance.work,
        "evaluation": benchmark.work,
    }[kind]
