"""Carry out one run or one stage in its directory, and record how it ended."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from experiments.rundir import RunDirectory, read_status
from experiments.stages import Stage, required_stages

DONE, FAILED, INTERRUPTED = 0, 1, 75  # 75 = EX_TEMPFAIL: requeue without counting a failure


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


def execute(directory: RunDirectory, stop: Callable[[], bool]) -> int:
    """Do the work of a directory unless it is done; the exit code says how it ended."""
    status = read_status(directory.path)
    if status is not None and status["state"] == "done":
        return DONE
    content = directory.spec()
    directory.begin()
    started = time.monotonic()
    before = status["seconds"] if status else 0.0
    try:
        complete = _work(content["kind"])(directory, content, stop)
    except Exception as error:
        traceback.print_exc()
        directory.update(seconds=before + time.monotonic() - started)
        directory.end("failed", f"{type(error).__name__}: {error}")
        return FAILED
    directory.update(seconds=before + time.monotonic() - started)
    directory.end("done" if complete else "interrupted", None if complete else "stopped by signal")
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


def _work(kind: str) -> Callable[[RunDirectory, dict, Callable[[], bool]], bool]:
    from experiments.work import chance, dataset, pretrain, run, video

    return {
        "run": run.work,
        "dataset": dataset.work,
        "video": video.work,
        "pretrain": pretrain.work,
        "chance": chance.work,
    }[kind]
