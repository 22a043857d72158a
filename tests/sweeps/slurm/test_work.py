"""What a Slurm job runs, with tiny children in place of training."""

from __future__ import annotations

import os
import signal

import pytest

from experiments.rundir import read_status
from sweeps import work as module
from sweeps.executors.rules import Policy
from sweeps.executors.slurm.submission import Conduct, Submission, write_submission
from sweeps.states import write_spec
from sweeps.work import NOTICE, Work, allocated_slots

RUNTIME = {"device": "cpu", "threads": 1}
ASKS_FOR_THE_NODE = """
def stop(*_):
    end("interrupted"); os._exit(75)
signal.signal(signal.SIGTERM, stop)
begin(); os.kill(os.getppid(), signal.{name}); time.sleep(30)
"""


@pytest.fixture
def do(workshop, monkeypatch):
    """A function: jobs -> the exit code of a Slurm job that does the last of them."""

    def act(*jobs):
        by_id = {job.id: job for job in jobs}
        for job in jobs:
            write_spec(job.directory, job.kind, job.id, job.spec, RUNTIME)
        known = {job.id: read_status(job.directory) for job in jobs}
        conduct = Conduct(RUNTIME, None, 1, Policy())
        submission = write_submission(workshop.folder, [(jobs[-1],)], by_id, known, conduct)
        monkeypatch.setattr(Submission, "_job", lambda self, name: by_id[name])
        return again(submission.folder)

    def again(folder):
        with pytest.raises(SystemExit) as ended:
            Work(folder)(0)
        return ended.value.code

    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    monkeypatch.setattr("sweeps.executors.slots._POLL_SECONDS", 0.02)
    act.again = again
    return act


@pytest.fixture
def requeued():
    """Stands for submitit's handler of the notice, which requeues the job and ends the process."""
    calls = []

    def handler(*_):
        calls.append("requeued")
        raise SystemExit(-1)

    before = signal.signal(NOTICE, handler)
    yield calls
    signal.signal(NOTICE, before)


def test_a_task_computes_what_its_run_needs_unless_it_is_there(do, workshop):
    jobs = [workshop.job("data", kind="dataset"), workshop.job("a", needs=("data",))]
    assert do(*jobs) == 0
    assert workshop.order() == ["data", "a"]
    assert do(*jobs) == 0
    assert workshop.order() == ["data", "a"]


def test_a_failed_run_makes_a_failed_job(do, workshop):
    assert do(workshop.job("a", "end('failed', 'loss became nan'); sys.exit(1)")) == 1


def test_a_requeued_job_does_not_try_again_what_failed_in_its_first_turn(do, workshop):
    code = "end('failed', 'x'); sys.exit(1)"
    assert do(workshop.job("a", code)) == 1
    (folder,) = (workshop.folder / "slurm").iterdir()
    assert do.again(folder) == 1
    assert workshop.order() == ["a"]


def test_after_a_notice_children_checkpoint_before_the_job_is_requeued(do, workshop, requeued):
    job = workshop.job("a", ASKS_FOR_THE_NODE.format(name=NOTICE.name))
    assert do(job) == -1
    assert requeued == ["requeued"]
    status = read_status(job.directory)
    assert status["state"] == "interrupted"
    assert status["reason"] == "stopped by Slurm: time limit or preemption"


@pytest.mark.parametrize(("state", "calls"), [("RUNNING", ["requeued"]), ("COMPLETING", [])])
def test_a_mere_sigterm_requeues_a_job_that_slurm_goes_on_with(
    do, workshop, requeued, monkeypatch, state, calls
):
    monkeypatch.setattr(module, "state_of_job", lambda job: state)
    monkeypatch.setattr(module.JobEnvironment, "job_id", "12_3")
    monkeypatch.setattr(module.JobEnvironment, "__new__", object.__new__)
    code = do(workshop.job("a", ASKS_FOR_THE_NODE.format(name="SIGTERM")))
    assert code == (-1 if calls else 75)
    assert requeued == calls


def test_children_do_not_hear_the_notice_themselves(do, workshop):
    mask = "signal.pthread_sigmask(signal.SIG_BLOCK, ())"
    job = workshop.job("a", f"end('done' if signal.{NOTICE.name} in {mask} else 'failed')")
    assert do(job) == 0
    assert NOTICE not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("slots", "cores", "processes", "expected"), [(None, 4, 1, 4), (None, 5, 2, 2), (3, 1, 1, 3)]
)
def test_places_follow_the_cores_that_slurm_gave(slots, cores, processes, expected):
    runtime = {"device": "cpu", "threads": 1, "processes": processes}
    conduct = Conduct(runtime, slots, 1, Policy())
    assert len(allocated_slots(conduct, 1, cores)) == expected


def test_gpus_are_shared_as_asked(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    conduct = Conduct({"device": "auto", "threads": 1}, None, 2, Policy())
    slots = allocated_slots(conduct, 2, cores=1)
    assert [slot.gpu for slot in slots] == ["0", "3", "0", "3"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,3"
