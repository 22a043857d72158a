"""Fake jobs for the executor tests: tiny scripts that keep the rules of a child process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sweeps.executors.ledger import Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.executors.slots import LocalExecutor, Policy
from sweeps.jobs import REPOSITORY, Job

# What every child starts with: its directory, `end(state)` and a line in order.txt when it starts.
_PRELUDE = """
import os, signal, socket, sys, time
sys.path.insert(0, {repository!r})
from pathlib import Path
from experiments.rundir import now, read_status
from flow3r.files import write_json
here = Path({directory!r})
open({order!r}, "a").write({name!r} + "\\n")
before = read_status(here)
def write(state, reason=None):
    attempts = (before["attempts"] if before else 0) + 1
    write_json(here / "status.json", dict(
        state=state, reason=reason, attempts=attempts, started=now(), updated=now(), finished=None,
        stage="joint", step=0, total_steps=10, train_seconds=0.0, seconds=1.0,
        pid=os.getpid(), host=socket.gethostname()))
def begin():
    write("running")
def end(state, reason=None):
    write(state, reason)
"""

DONE = "end('done')"


class Recorder:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def started(self, job: Job, slot: Slot) -> None:
        self.events.append(("started", job.id))

    def ended(self, job: Job, outcome: Outcome) -> None:
        self.events.append((outcome.state, job.id))

    def requeued(self, job: Job, reason: str) -> None:
        self.events.append(("requeued", job.id))

    def tick(self, ledger: Ledger) -> None:
        pass


class Workshop:
    """Makes jobs in a temporary folder and runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.order_file = folder / "order.txt"
        self.recorder = Recorder()

    def job(self, name: str, code: str = DONE, needs: tuple[str, ...] = (), kind="run") -> Job:
        directory = self.folder / ("runs" if kind == "run" else "stages") / name
        prelude = _PRELUDE.format(
            repository=str(REPOSITORY),
            directory=str(directory),
            order=str(self.order_file),
            name=name,
        )
        command = (sys.executable, "-c", prelude + code)
        wide = kind == "pretrain"
        return Job(name, kind, name, directory, command, needs, {"name": name}, wide)

    def executor(self, jobs: list[Job], slots: int = 2, **policy: int) -> LocalExecutor:
        places = [Slot(i) for i in range(slots)]
        runtime = {"device": "cpu"}
        return LocalExecutor(jobs, places, self.recorder, runtime, Policy(**policy))

    def order(self) -> list[str]:
        """Names in the order in which children started."""
        return self.order_file.read_text().split() if self.order_file.exists() else []


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)
