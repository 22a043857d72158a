"""Tasks that crash, hang or fail cost themselves and nothing else."""

import os
import sys
import textwrap

import psutil
import pytest

from flow3r.data.video.isolation import _Worker, run_isolated

TASKS = """
import os, signal, time

def work(task, beat):
    if task == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "exit":
        os._exit(3)
    if task == "hang":
        time.sleep(3600)
    if task == "spin":
        while True:
            pass
    if str(task).startswith("orphan"):
        for i in range(8):
            time.sleep(0.6)
            try:
                beat(i / 8)
            except OSError:
                open(task.removeprefix("orphan "), "w").close()
    if task == "raise":
        raise ValueError("broken")
    if task == "slow":
        for i in range(8):
            time.sleep(0.6)
            beat(i / 8)
    return task, os.getpid()
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The function above, in a module that worker processes can import."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "isolated_tasks.py").write_text(textwrap.dedent(TASKS))
    sys.path.insert(0, str(folder))
    import isolated_tasks

    yield isolated_tasks.work
    sys.path.remove(str(folder))


def run(work, tasks, workers=2, **options):
    """Task -> its result or the reason of its failure."""
    ends = {}
    for event in run_isolated(work, tasks, workers, stall_seconds=30.0, **options):
        if event.final:
            assert event.task not in ends
            ends[event.task] = event.failure or event.result[0]
    return [ends.get(i) for i in range(len(tasks))]


def test_every_task_ends_once_whatever_the_others_do(work):
    tasks = ["a", "segfault", "b", "raise", "exit", "c", "d"]
    assert run(work, tasks) == [
        "a",
        "crashed (signal SIGSEGV)",
        "b",
        "failed (ValueError: broken)",
        "crashed (exit code 3)",
        "c",
        "d",
    ]
    assert run(work, []) == []


@pytest.mark.parametrize("kind", ["hang", "spin"])
def test_silence_is_a_failure_and_slowness_is_none(work, kind):
    events = list(run_isolated(work, [kind, "slow", "a"], 2, stall_seconds=2.5))
    ends = {e.task: e for e in events if e.final}
    assert ends[0].failure == "timed out (nothing for 2.5 s)"
    assert ends[1].result[0] == "slow"
    assert ends[2].result[0] == "a"
    shares = [e.share for e in events if e.task == 1]
    assert shares == sorted(shares)
    assert len(shares) > 3


def test_processes_are_used_again_and_none_is_left(work):
    events = [e for e in run_isolated(work, ["a"] * 12, 2, stall_seconds=30) if e.final]
    workers = {e.result[1] for e in events}
    assert len(events) == 12
    assert 1 <= len(workers) <= 2
    assert os.getpid() not in workers
    assert not any(psutil.pid_exists(pid) for pid in workers)


def test_stop_ends_early(work):
    seen = []
    for event in run_isolated(
        work, ["a", "a", "slow", "slow"], 1, stall_seconds=30, stop=lambda: len(seen) >= 2
    ):
        if event.final:
            seen.append(event.task)
    assert seen == [0, 1]


def test_leaving_the_loop_ends_the_processes(work):
    events = run_isolated(work, ["a", "hang"], 1, stall_seconds=3600)
    pid = next(e for e in events if e.final).result[1]
    events.close()
    assert not psutil.pid_exists(pid)


def test_a_worker_whose_parent_is_gone_takes_it_for_no_fault_of_its_task(work, tmp_path):
    worker = _Worker(work)
    assert worker.connection.recv()[0] == "ready"
    worker.connection.send(f"orphan {tmp_path / 'fault'}")
    worker.connection.close()
    worker.process.join(timeout=60)
    assert worker.process.exitcode == 0
    assert not (tmp_path / "fault").exists()
