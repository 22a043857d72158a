"""Stand-ins: tiny child scripts that keep the rules of a child process, and a tiny sweep."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.executors.ledger import Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.executors.slots import LocalExecutor, Policy
from sweeps.jobs import REPOSITORY, Job
from sweeps.planning.expansion import Experiments, expand

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
        return Job(name, kind, name, directory, command, needs, {"name": name})

    def executor(
        self,
        jobs: list[Job],
        slots: int = 2,
        seconds: dict | None = None,
        deadline: float | None = None,
        **policy: float,
    ) -> LocalExecutor:
        return LocalExecutor(
            jobs,
            [Slot(i) for i in range(slots)],
            self.recorder,
            {"device": "cpu"},
            Policy(**policy),
            seconds=seconds,
            deadline=deadline,
        )

    def order(self) -> list[str]:
        """Names in the order in which children started."""
        return self.order_file.read_text().split() if self.order_file.exists() else []


SWEEP = {
    "name": "tiny",
    "question": "Which is better?",
    "seeds": [0, 1],
    "baseline": "plain",
    "headline": {"arm": "flow", "baseline": "plain", "benchmark": "dynamic", "metrics": ["rra_15"]},
    "scaling": None,
    "arms": {
        "plain": {"overrides": ["formulation=plain"]},
        "flow": {"overrides": ["formulation=flow", "data.unlabelled_clips=8"]},
        "flow-again": {"overrides": ["formulation=flow", "data.unlabelled_clips=8"]},
        "start": {"overrides": ["formulation=plain", "steps=0"], "seeds": [0], "yardstick": True},
    },
}


@dataclass(frozen=True)
class FakeStage:
    kind: str
    id: str
    spec: dict
    depends_on: tuple[str, ...] = ()


class FakeExperiments:
    """Composes dotted overrides into a dict; the id is the sorted text of the spec."""

    def __init__(self, seed_elsewhere: bool = False) -> None:
        self.composed: list[list[str]] = []
        self._seed_elsewhere = seed_elsewhere

    def compose(self, overrides):
        self.composed.append(overrides)
        values = {
            "steps": "10",
            "data.unlabelled_clips": "0",
            **dict(o.split("=") for o in overrides),
        }
        spec = {
            "seed": int(values["seed"]),
            "formulation": {"name": values["formulation"]},
            "data": {"labelled_clips": 4, "unlabelled_clips": int(values["data.unlabelled_clips"])},
            "steps": int(values["steps"]),
        }
        if self._seed_elsewhere:
            spec["order"] = spec["seed"] + 100
        return SimpleNamespace(
            spec=spec, runtime={"device": "auto", "threads": 1}, cost={"run": 60.0}
        )

    def required_stages(self, spec):
        stages = [FakeStage("dataset", "dataset-src", {}), FakeStage("pretrain", "pretrain-a", {})]
        stages[1] = FakeStage("pretrain", "pretrain-a", {"x": 1}, ("dataset-src",))
        if spec["data"]["unlabelled_clips"]:
            stages.append(FakeStage("dataset", "dataset-unlabelled", {}))
        return stages

    def tools(self, run_id=lambda spec: str(sorted(spec.items()))) -> Experiments:
        return Experiments(self.compose, run_id, self.required_stages)


def plan_of(overrides=(), seeds=None, fake=None, recorded=(), ids=None):
    fake = fake or FakeExperiments()
    tools = fake.tools(ids) if ids else fake.tools()
    return expand(SWEEP, "smoke", overrides, seeds, tools, recorded)


@pytest.fixture
def tiny() -> SimpleNamespace:
    """A sweep of four arms and a stand-in for `experiments` that composes it."""
    return SimpleNamespace(sweep=SWEEP, fake=FakeExperiments, plan=plan_of)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory) -> Path:
    """An empty migrated database; migrating takes seconds, copying does not."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    # As a process leaves it that was killed while it migrated: must not matter.
    (path.parent / "mlflow.db.making").write_bytes(b"half a database")
    from sweeps.tracking.uri import create_database  # imports MLflow: seconds

    create_database(path)
    return path
