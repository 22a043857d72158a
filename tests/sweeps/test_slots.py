"""The local executor with real (tiny) child processes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from experiments.rundir import now, read_status
from flow3r.files import write_json
from flow3r.locks import LOCK_NAME, is_locked, try_lock
from sweeps.executors.ledger import DONE, FAILED, INTERRUPTED, Outcome
from sweeps.jobs import REPOSITORY


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
    assert ledger.outcomes["ever"].failure == "killed"
    assert read_status(ledger.jobs["ever"].directory)["failure"] == "killed"


def test_a_kill_while_the_kernel_counts_one_is_want_of_memory(workshop, monkeypatch):
    kills = itertools.count()
    monkeypatch.setattr("sweeps.executors.attempt.memory_kills", lambda: next(kills))
    job = workshop.job("a", "os.kill(os.getpid(), signal.SIGKILL)")
    outcome = workshop.executor([job]).run().outcomes["a"]
    assert outcome.failure == "out-of-memory"
    assert workshop.order() == ["a", "a"]  # others may have used the memory: tried once more


@pytest.mark.parametrize(
    ("raised", "name", "attempts"),
    [
        ("flow3r.errors.NonFiniteLossError('x')", "non-finite", 1),
        ("MemoryError('x')", "out-of-memory", 2),
        ("ValueError('x')", "exit", 1),
    ],
)
def test_a_failure_that_the_child_records_keeps_its_name(workshop, raised, name, attempts):
    code = f"""
import flow3r.errors
from experiments.failure import failure_of
from experiments.rundir import RunDirectory
directory = RunDirectory(here)
directory.begin()
error = {raised}
reason = f"{{type(error).__name__}}: {{error}}"
directory.end("failed", reason, failure_of(reason)); sys.exit(1)
"""
    outcome = workshop.executor([workshop.job("a", code)]).run().outcomes["a"]
    assert (outcome.state, outcome.failure) == (FAILED, name)
    status = read_status(workshop.folder / "runs" / "a")
    assert status["attempts"] == attempts
    assert [end["failure"] for end in status["history"]] == [name] * (attempts - 1)


_CHECKPOINTS = """
def stop(*_):
    end("interrupted"); os._exit(75)
signal.signal(signal.SIGTERM, stop)
begin()
"""


def test_an_attempt_that_takes_too_long_is_asked_to_stop_and_fails_in_the_end(workshop):
    job = workshop.job("a", _CHECKPOINTS + "time.sleep(60)")
    outcome = workshop.executor([job], timeout=1.0).run().outcomes["a"]
    assert outcome == Outcome(FAILED, "took longer than timeout=1 s", "timeout")
    assert workshop.order() == ["a", "a"]


def test_one_that_does_not_stop_within_the_grace_is_killed(workshop):
    job = workshop.job("a", "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    outcome = workshop.executor([job], timeout=0.5, grace=0.5, retries=0).run().outcomes["a"]
    assert outcome.failure == "timeout"


def test_one_that_ends_well_within_the_grace_is_done(workshop):
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); begin(); time.sleep(3); end('done')"
    assert states(workshop.executor([workshop.job("a", code)], timeout=2.0).run()) == {"a": DONE}


def test_a_silent_process_is_killed_and_a_slow_one_that_speaks_is_not(workshop):
    speaks = "begin()\nfor _ in range(15):\n    time.sleep(0.2); begin()\nend('done')"
    jobs = [workshop.job("hung", "begin(); time.sleep(60)"), workshop.job("slow", speaks)]
    ledger = workshop.executor(jobs, stall=2.0, retries=0).run()
    assert ledger.outcomes["hung"] == Outcome(FAILED, "no sign of life for 2 s", "stalled")
    assert ledger.outcomes["slow"].state == DONE


def test_what_cannot_be_started_says_so(workshop):
    job = replace(workshop.job("a"), command=("/nowhere/python",))
    outcome = workshop.executor([job]).run().outcomes["a"]
    assert outcome.failure == "start"
    assert outcome.reason.startswith("could not be started: ")


def test_a_full_disk_fails_the_jobs_and_not_the_sweep(workshop, largest_file):
    executor = workshop.executor([workshop.job("a"), workshop.job("b", needs=("a",))])
    largest_file(0)
    outcomes = executor.run().outcomes
    assert outcomes["a"].failure == "start"
    assert outcomes["a"].reason.startswith("could not be started: [Errno 27] File too large")
    assert "(could not be recorded: [Errno 27] File too large" in outcomes["a"].reason
    assert outcomes["b"].failure == "prerequisite"
    assert workshop.order() == []


def test_a_disk_without_room_for_a_status_ends_no_scheduler(workshop, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweeps.states.record_outcome", full)
    jobs = [workshop.job("a", "sys.exit(3)"), workshop.job("b")]
    ledger = workshop.executor(jobs).run()
    assert states(ledger) == {"a": FAILED, "b": DONE}
    assert "could not be recorded: [Errno 28]" in ledger.outcomes["a"].reason


def test_at_the_deadline_children_checkpoint_and_nothing_new_is_started(workshop, monkeypatch):
    monkeypatch.setattr("sweeps.executors.slots._LEAST_SECONDS", 0.0)
    jobs = [workshop.job("a", _CHECKPOINTS + "time.sleep(60)"), workshop.job("b")]
    ledger = workshop.executor(jobs, slots=1, deadline=time.monotonic() + 3.0).run()
    assert ledger.outcomes == {"a": Outcome(INTERRUPTED, "stopped: the time is up")}
    assert not ledger.finished()
    assert workshop.order() == ["a"]


def test_a_job_is_not_started_for_the_last_seconds(workshop):
    executor = workshop.executor([workshop.job("a")], deadline=time.monotonic() + 0.5)
    assert executor.run().outcomes == {}
    assert workshop.order() == []


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


_ELSEWHERE = """
import sys
sys.path.insert(0, {repository!r}); sys.path.insert(0, {tests!r})
from pathlib import Path
from conftest import Workshop
from experiments import lease
from sweeps.executors import claims
import test_slots
lease.machine = lambda: {machine!r}
# A file system whose locks end at the machine: each machine has lock files of its own.
claims.LOCK_NAME = ".lock-" + {machine!r}
workshop = Workshop(Path({folder!r}))
ledger = workshop.executor(test_slots.shared_jobs(workshop)).run()
sys.exit(0 if all(o.state == "done" for o in ledger.outcomes.values()) else 1)
"""


def shared_jobs(workshop):
    return [workshop.job(f"job{i}", "time.sleep(0.2); end('done')") for i in range(8)]


def on_machine(workshop, machine):
    """A scheduler on a machine of that name. The children write nothing for their first moments."""
    tests = str(REPOSITORY / "tests" / "sweeps")
    words = {"repository": str(REPOSITORY), "tests": tests, "folder": str(workshop.folder)}
    return subprocess.Popen([sys.executable, "-c", _ELSEWHERE.format(**words, machine=machine)])


def test_schedulers_on_several_machines_start_every_job_once(workshop):
    schedulers = [on_machine(workshop, name) for name in ("a", "b", "c")]
    assert [scheduler.wait(timeout=100) for scheduler in schedulers] == [0, 0, 0]
    assert sorted(workshop.order()) == [f"job{i}" for i in range(8)]


def test_a_job_that_was_taken_over_is_let_go_and_its_outcome_left_to_others(workshop, monkeypatch):
    monkeypatch.setattr("sweeps.executors.slots.RENEW_SECONDS", 0.1)
    job = workshop.job("a", "begin(); time.sleep(60)")
    executor = workshop.executor([job])

    def take_over():
        status = job.directory / "status.json"
        assert wait_until(status.exists)
        (job.directory / ".lease-000002").touch()
        assert wait_until(lambda: ("requeued", "a") in workshop.recorder.events)
        write_json(status, {**read_status(job.directory), "state": "done"})

    threading.Thread(target=take_over).start()
    assert executor.run().outcomes == {"a": Outcome(DONE)}
    assert workshop.order() == ["a"]


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
from flow3r.locks import try_lock
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
    monkeypatch.setattr("sweeps.executors.slots._WATCH_SECONDS", 0.1)
