"""A real sweep on a real Slurm cluster of one node, with everything that happens on a cluster.

Debian: apt-get install slurm-wlm munge; python -m pytest -m slurm tests/sweeps/slurm
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.rundir import read_metrics, read_status
from sweeps.executors.slurm.submission import FOLDER, find_submission
from sweeps.jobs import REPOSITORY


def _module(name: str):
    """A module beside this file; the tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cluster_of = _module("cluster")
_MISSING = cluster_of.missing_programs()

# Two arms of two seeds: four runs for the four cores of the cluster. Figures are drawn in other
# tests.
_FRONT_DOOR = """
import sys
sys.path.insert(0, {repository!r})
from experiments import compose
from sweeps import run
from sweeps import session
session.draw_figures, session.draw_headline = lambda *_: [], lambda *_: None
whole = compose.load_sweep
def two_arms(name, profile):
    sweep = whole(name, profile)
    arms = {{a: sweep["arms"][a] for a in ("3d-sup", "flow-factored")}}
    return {{**sweep, "arms": arms, "questions": []}}
compose.load_sweep = two_arms
sys.exit(run.main(sys.argv[1:]))
"""
_WORDS = (
    *("sweep=formulations", "profile=smoke", "seeds=[0,1]", "tracking=false", "console=plain"),
    *("size.source_clips=4", "size.labelled_pool=2", "size.unlabelled_pool=4"),
    *("size.validation_clips=2", "size.test_clips=2", "size.curve_clips=2"),
    *("size.unlabelled_clips=4", "size.labelled_clips=2", "size.more_labelled_clips=2"),
    *("steps.matching=2", "steps.geometry=2", "steps.head=2", "steps.joint=30"),
    "runtime.checkpoint_seconds=0.1",
)
# Slurm looks at time limits every 30 s and may give notice a minute early.
_SLURM = ("launcher=slurm", "slurm.poll=1", "slurm.partition=low", "slurm.notice=50")


class FrontDoor:
    """`python sweeps/run.py ...` in a process of its own, with what it has said so far."""

    def __init__(self, output_dir: Path, *words: str, environment: dict[str, str]) -> None:
        code = _FRONT_DOOR.format(repository=str(REPOSITORY))
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *_WORDS, *words, f"output_dir={output_dir}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        began = time.monotonic()
        for line in self.process.stdout:
            print(f"{time.monotonic() - began:6.1f} {line}", end="", flush=True)  # for pytest -s
            self.lines.append(line)

    def wait(self) -> int:
        code = self.process.wait()
        self._reader.join(timeout=10)
        return code

    @property
    def output(self) -> str:
        return "".join(self.lines)


class Sweep:
    """The runs of an output folder, seen from outside."""

    def __init__(self, output_dir: Path) -> None:
        self.output_dir = output_dir

    def status(self, run: str) -> dict:
        return read_status(self.output_dir / "runs" / run) or {"state": "pending", "step": 0}

    def at_work(self) -> list[str]:
        """Runs that have trained for a few steps, and have some to go."""
        runs = [path.name for path in (self.output_dir / "runs").glob("*")]
        found = {run: self.status(run) for run in runs}
        return [
            run
            for run, status in found.items()
            if status["state"] == "running" and 3 < status["step"] < status["total_steps"] - 3
        ]

    def signal(self, run: str, number: signal.Signals) -> None:
        os.kill(self.status(run)["pid"], number)

    def log(self, task: str) -> str:
        """What the Slurm job has written."""
        found = (self.output_dir / FOLDER).glob(f"*/{task}_0_log.out")
        return "".join(path.read_text() for path in found)

    def submissions(self) -> set[str]:
        return {path.name for path in (self.output_dir / FOLDER).glob("flow3r-*")}

    def records(self) -> dict[str, tuple[list, dict]]:
        """Everything measured, by run, without times."""
        found = {}
        for directory in (self.output_dir / "runs").glob("*"):
            curve = [(r["step"], r["stage"], r["metrics"]) for r in read_metrics(directory)]
            evaluation = json.loads((directory / "evaluation.json").read_text())
            found[directory.name] = (curve, evaluation)
        return found

    def results(self) -> bytes:
        return (self.output_dir / "reports" / "formulations" / "results.json").read_bytes()


def tasks_of_runs(cluster, sweep: Sweep) -> dict[str, str]:
    """Run id -> the Slurm job that has it, as the queue says."""
    lines = cluster.ask("squeue", "--noheader", "--array", "--format=%i|%j").split()
    found = {}
    for line in lines:
        task, name = line.split("|")
        if submission := find_submission(sweep.output_dir, name):
            index = int(task.partition("_")[2] or 0)
            found |= dict.fromkeys(submission.tasks[index], task)
    return found


def wait_for(condition: Callable[[], object], door: FrontDoor, what: str, seconds: float = 900.0):
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert door.process.poll() is None, f"ended before {what}:\n{door.output}"
        assert time.monotonic() < deadline, f"no {what} after {seconds:.0f} s:\n{door.output}"
        time.sleep(0.05)
    return found


def restarts(cluster, task: str) -> int:
    facts = cluster.ask("scontrol", "show", "job", task).split()
    return int(next(fact for fact in facts if fact.startswith("Restarts=")).partition("=")[2])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with cluster_of.running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The same sweep in local slots, undisturbed."""
    output_dir = tmp_path_factory.mktemp("calm")
    door = FrontDoor(output_dir, "slots=2", environment=dict(os.environ))
    assert door.wait() == 0, door.output
    return Sweep(output_dir)


@pytest.fixture
def disturbed(cluster, tmp_path):
    """The sweep on Slurm: its scheduler killed, one job cancelled, one preempted, one out of time.

    All runs are stopped in the middle of training meanwhile, so that nothing depends on the speed
    of the machine.
    """
    sweep = Sweep(tmp_path / "outputs")
    first = FrontDoor(sweep.output_dir, *_SLURM, environment=cluster.environment)
    frozen: list[str] = []

    def all_frozen() -> bool:
        for run in set(sweep.at_work()) - set(frozen):
            sweep.signal(run, signal.SIGSTOP)
            frozen.append(run)
        return len(frozen) == 4

    wait_for(all_frozen, first, "four runs at work")
    first.process.kill()
    first.wait()
    submitted = sweep.submissions()
    door = FrontDoor(sweep.output_dir, *_SLURM, environment=cluster.environment)
    found = "4 of 4 jobs are in Slurm's queue already"
    wait_for(lambda: found in door.output, door, "the runs being found again")
    assert sweep.submissions() == submitted

    tasks = tasks_of_runs(cluster, sweep)

    def noticed(runs: list[str]) -> str | None:
        return next((run for run in runs if "notice of Slurm" in sweep.log(tasks[run])), None)

    urgent = ("--partition=high", "--cpus-per-task=1", "--output=/dev/null", "--wrap=sleep 1")
    cluster.ask("sbatch", *urgent)
    preempted = wait_for(lambda: noticed(frozen), door, "preemption")
    sweep.signal(preempted, signal.SIGCONT)
    cancelled, limited, left_alone = (run for run in frozen if run != preempted)
    cluster.ask("scontrol", "update", f"JobId={tasks[limited]}", "TimeLimit=1")
    cluster.ask("scancel", tasks[cancelled])
    wait_for(lambda: noticed([limited]), door, "notice of the time limit")
    print(cluster.ask("squeue", "--array"))
    for run in (limited, left_alone):
        sweep.signal(run, signal.SIGCONT)
    assert door.wait() == 0, door.output
    return SimpleNamespace(
        sweep=sweep,
        output=door.output,
        tasks=tasks,
        preempted=preempted,
        cancelled=cancelled,
        limited=limited,
        left_alone=left_alone,
    )


@pytest.mark.slurm
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    bool(_MISSING), reason=f"needs Slurm (Debian: slurm-wlm munge); missing: {_MISSING}"
)
def test_a_disturbed_sweep_on_slurm_equals_an_undisturbed_local_one(cluster, disturbed, calm):
    sweep, tasks = disturbed.sweep, disturbed.tasks
    assert restarts(cluster, tasks[disturbed.preempted]) == 1
    assert restarts(cluster, tasks[disturbed.limited]) == 1
    assert restarts(cluster, tasks[disturbed.left_alone]) == 0
    gone = f"killed: Slurm job {tasks[disturbed.cancelled]} ended as CANCELLED"
    assert f"({disturbed.cancelled}): {gone}" in disturbed.output
    attempts = {run: sweep.status(run)["attempts"] for run in tasks}
    assert attempts == {run: 1 if run == disturbed.left_alone else 2 for run in tasks}
    assert sweep.records() == calm.records()
    assert sweep.results() == calm.results()
