"""kill -9 of the whole process tree at random moments, then the same command again."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import psutil

from experiments.rundir import read_status
from sweeps.jobs import REPOSITORY

_SCHEDULER = """
import sys
sys.path.insert(0, {repository!r})
sys.path.insert(0, {tests!r})
from pathlib import Path
from conftest import Workshop
import test_killed_sweep
executor = Workshop(Path({folder!r}))
ledger = executor.executor(test_killed_sweep.jobs(executor)).run()
sys.exit(0 if all(o.state == "done" for o in ledger.outcomes.values()) else 1)
"""

# Ten steps with a checkpoint after each; the log of steps shows what was done how often.
_RUN = """
begin()
cursor = here / "checkpoint"
while (step := int(cursor.read_text()) if cursor.exists() else 0) < 10:
    time.sleep(0.03)
    with open(here / "steps.txt", "a") as file:
        file.write(f"{step}\\n")
    temporary = here / "checkpoint.new"
    temporary.write_text(str(step + 1))
    temporary.replace(cursor)
end("done")
"""


def jobs(workshop):
    """A stage and the four runs that need it."""
    stage = workshop.job("data", _RUN, kind="dataset")
    return [stage, *(workshop.job(f"run{i}", _RUN, needs=("data",)) for i in range(4))]


def start(folder):
    tests = str(REPOSITORY / "tests" / "sweeps")
    code = _SCHEDULER.format(repository=str(REPOSITORY), tests=tests, folder=str(folder))
    return subprocess.Popen([sys.executable, "-c", code])


def kill_tree(process):
    tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in tree:
        member.kill()
    process.wait()
    psutil.wait_procs(tree, timeout=10)


def test_every_job_ends_once_however_often_the_sweep_is_killed(workshop):
    moments = random.Random(0)
    for _ in range(3):
        process = start(workshop.folder)
        time.sleep(moments.uniform(0.6, 1.2))
        kill_tree(process)
    assert start(workshop.folder).wait(timeout=60) == 0
    for job in jobs(workshop):
        assert read_status(job.directory)["state"] == "done"
        steps = [int(line) for line in (job.directory / "steps.txt").read_text().split()]
        # A kill costs at most the step that was being done; none is left out.
        assert sorted(set(steps)) == list(range(10))
        assert len(steps) <= 10 + 3
    before = workshop.order()
    assert start(workshop.folder).wait(timeout=60) == 0
    assert workshop.order() == before


def test_a_scheduler_killed_alone_leaves_its_children_to_finish(workshop):
    process = start(workshop.folder)
    deadline = time.monotonic() + 20
    while "data" not in workshop.order() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert start(workshop.folder).wait(timeout=60) == 0
    assert workshop.order().count("data") == 1
    steps = (workshop.folder / "stages" / "data" / "steps.txt").read_text().split()
    assert [int(step) for step in steps] == list(range(10))
