"""The local executor with real (tiny) child processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from experiments.rundir import now, read_status
from flow3r.files import write_json
from sweeps.executors.ledger import DONE, FAILED, INTERRUPTED, Outcome
from sweeps.locks import LOCK_NAME, is_locked, try_lock


def states(ledger):
    return {name: outcome.state for name, outcome in ledger.outcomes.items()}


def test_stages_run_before_what_needs_them(workshop):
    jobs = [
        workshop.job("data", kind="dataset"),
        workshop.job("pre", needs=("data",), kind="pretrain"),
        workshop.job("a", needs=("data", "pre")),
        workshop.job("b", needs=("data", "pre")),
    ]
    ledger = workshop.executor(jobs).run()
    assert set(states(ledger).values()) == {DONE}
    assert workshop.order()[:2] == ["data", "pre"]
    assert sorted(workshop.order()[2:]) == ["a", "b"]


def test_a_failure_stops_nothing_else_and_carries_its_reason(workshop):
    jobs = [
        workshop.job("bad", "end('failed', 'loss became nan'); sys.exit(1)"),
        workshop.job("crash", "raise RuntimeError('boom')"),
        workshop.job("good"),
    ]
    ledger = workshop.executor(jobs, slots=1).run()
    assert states(ledger) == {"bad": FAILED, "crash": FAILED, "good": DONE}
    assert ledger.outcomes["bad"].reason == "loss became nan"
    assert ledger.outcomes["crash"].reason == "exit code 1: RuntimeError: boom"
    assert read_status(ledger.jobs["crash"].directory)["state"] == FAILED
    assert "RuntimeError: boom" in (ledger.jobs["crash"].directory / "log.txt").read_text()


def test_jobs_behind_a_failed_stage_are_failed_with_the_reason_and_not_started(workshop):
    jobs = [
        workshop.job("data", "sys.exit(3)", kind="dataset"),
        workshop.job("pre", needs=("data",), kind="pretrain"),
        workshop.job("a", needs=("pre",)),
    ]
    ledger = workshop.executor(jobs).run()
    assert workshop.order() == ["data"]
    assert states(ledger) == {"data": FAILED, "pre": FAILED, "a": FAILED}
    assert ledger.outcomes["a"].reason.startswith("needs data, which failed: exit code 3")
    assert read_status(jobs[2].directory)["reason"] == ledger.outcomes["a"].reason


def test_exit_75_is_requeued_without_counting_as_a_retry(workshop):
    code = """
if (before or {"attempts": 0})["attempts"] < 3:
    end("interrupted"); sys.exit(75)
end("done")
"""
    ledger = workshop.executor([workshop.job("a", code)], retries=0).run()
    assert states(ledger) == {"a": DONE}
    assert workshop.order() == ["a"] * 4
    assert ("requeued", "a") in workshop.recorder.events


def test_a_paused_run_is_settled_and_not_started_again(workshop):
    code = "end('interrupted', 'paused at step 4'); sys.exit(75)"
    ledger = workshop.executor([workshop.job("a", code)]).run()
    assert ledger.outcomes["a"] == Outcome(INTERRUPTED, "paused at step 4")
    assert workshop.order() == ["a"]


def test_endless_requeueing_ends(workshop):
    job = workshop.job("a", "end('interrupted'); sys.exit(75)")
    ledger = workshop.executor([job], requeues=2).run()
    assert ledger.outcomes["a"].reason == "asked to be requeued more than 2 times"


def test_a_killed_child_gets_one_new_attempt(workshop):
    dies = "os.kill(os.getpid(), signal.SIGKILL)"
    once = f"{dies} if before is None else end('done')"
    ledger = workshop.executor([workshop.job("once", once), workshop.job("ever", dies)]).run()
    assert states(ledger) == {"once": DONE, "ever": FAILED}
    assert sorted(workshop.order()) == ["ever", "ever", "once", "once"]
    assert ledger.outcomes["ever"].reason == "killed by SIGKILL (out of memory?)"


def test_success_without_a_done_status_is_a_failure(workshop):
    ledger = workshop.executor([workshop.job("a", "pass")]).run()
    assert ledger.outcomes["a"].reason == "exit code 0, but its status is 'pending'"


def test_finished_jobs_are_not_started_and_failed_ones_are_tried_again(workshop):
    jobs = [workshop.job("a"), workshop.job("b", "end('failed', 'x'); sys.exit(1)")]
    workshop.executor(jobs).run()
    jobs[1] = workshop.job("b")
    ledger = workshop.executor(jobs).run()
    assert set(states(ledger).values()) == {DONE}
    assert sorted(workshop.order()) == ["a", "b", "b"]


def test_what_a_finished_stage_made_ready_is_weighed_before_lesser_jobs(workshop):
    data = workshop.job("data", kind="dataset")
    workshop.executor([data]).run()
    jobs = [data, workshop.job("a"), workshop.job("pre", needs=("data",), kind="pretrain")]
    workshop.executor(jobs, slots=1, seconds={"data": 9.0, "pre": 5.0}).run()
    assert workshop.order() == ["data", "pre", "a"]


def test_a_run_whose_process_died_is_taken_up_again(workshop):
    job = workshop.job("a")
    job.directory.mkdir(parents=True)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_running(job, gone.pid)
    assert states(workshop.executor([job]).run()) == {"a": DONE}
    assert read_status(job.directory)["attempts"] == 2


def test_a_run_that_lives_elsewhere_is_waited_for_and_not_started(workshop):
    job = workshop.job("a")
    job.directory.mkdir(parents=True)
    write_running(job, os.getpid())

    def finish():
        time.sleep(0.5)
        status = read_status(job.directory)
        write_json(job.directory / "status.json", {**status, "state": "done"})

    threading.Thread(target=finish).start()
    assert states(workshop.executor([job]).run()) == {"a": DONE}
    assert workshop.order() == []


def test_a_locked_directory_is_left_alone_until_the_lock_is_free(workshop):
    job = workshop.job("a")
    lock = try_lock(job.directory / LOCK_NAME)
    threading.Timer(0.5, lock.release).start()
    began = time.monotonic()
    assert states(workshop.executor([job]).run()) == {"a": DONE}
    assert time.monotonic() - began > 0.5


def test_two_schedulers_start_every_job_once(workshop, monkeypatch):
    jobs = [workshop.job(f"job{i}", "begin(); time.sleep(0.1); end('done')") for i in range(6)]
    first, second = workshop.executor(jobs), workshop.executor(jobs)
    results = []
    # Signal handlers belong to the main thread, so the loops are run without them.
    monkeypatch.setattr(
        "sweeps.executors.slots.stop_on_signals", lambda stop: contextlib.nullcontext()
    )
    threads = [
        threading.Thread(target=lambda e=e: results.append(e.run())) for e in (first, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(workshop.order()) == sorted(job.id for job in jobs)
    assert all(set(states(ledger).values()) == {DONE} for ledger in results)


def test_stop_lets_children_checkpoint_and_records_them_as_interrupted(workshop):
    code = """
def stop(*_):
    end("interrupted"); os._exit(75)
signal.signal(signal.SIGTERM, stop)
begin(); time.sleep(30)
"""
    executor = workshop.executor([workshop.job("a", code), workshop.job("b", code)], slots=1)
    stop_when_running(executor, workshop, "a")
    ledger = executor.run()
    assert states(ledger) == {"a": INTERRUPTED}
    assert read_status(ledger.jobs["a"].directory)["state"] == INTERRUPTED
    assert workshop.order() == ["a"]


def test_a_second_stop_kills(workshop):
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); begin(); time.sleep(30)"
    executor = workshop.executor([workshop.job("a", code)])
    stop_when_running(executor, workshop, "a", times=2)
    began = time.monotonic()
    assert states(executor.run()) == {"a": INTERRUPTED}
    assert time.monotonic() - began < 10


def test_the_lock_outlives_a_killed_scheduler_as_long_as_its_child(workshop, tmp_path):
    """kill -9 of the scheduler alone: the orphan keeps its directory locked until it ends."""
    path = tmp_path / "run" / LOCK_NAME
    path.parent.mkdir()
    code = f"""
import os, subprocess, sys
sys.path.insert(0, {str(workshop.folder)!r})
from pathlib import Path
from sweeps.locks import try_lock
lock = try_lock(Path({str(path)!r}))
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=0, pass_fds=(lock.fd,))
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    pipe = subprocess.PIPE
    scheduler = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True)
    child = int(scheduler.stdout.readline())
    assert scheduler.wait() == -signal.SIGKILL
    assert is_locked(path)
    os.kill(child, signal.SIGKILL)
    assert wait_until(lambda: not is_locked(path))


def test_a_child_sees_one_thread_and_its_spec(workshop):
    code = "print('threads', os.environ['OMP_NUM_THREADS']); end('done')"
    job = workshop.job("a", code)
    workshop.executor([job]).run()
    assert "threads 1\n" in (job.directory / "log.txt").read_text()
    spec = json.loads((job.directory / "spec.json").read_text())
    assert spec == {
        "schema": 1,
        "kind": "run",
        "id": "a",
        "spec": {"name": "a"},
        "runtime": {"device": "cpu", "threads": 1},
    }


def write_running(job, pid):
    status = {"state": "running", "reason": None, "attempts": 1, "updated": now(), "pid": pid}
    status |= {"host": socket.gethostname(), "step": 0, "total_steps": 0, "seconds": 0.0}
    (job.directory / "status.json").write_text(json.dumps(status))


def wait_until(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop_when_running(executor, workshop, name, times: int = 1):
    def stop():
        running = workshop.folder / "runs" / name / "status.json"
        assert wait_until(running.exists)
        for _ in range(times):
            executor.stop()
            time.sleep(0.5)

    threading.Thread(target=stop).start()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("sweeps.executors.slots._POLL_SECONDS", 0.02)
    monkeypatch.setattr("sweeps.executors.slots._ELSEWHERE_SECONDS", 0.2)
