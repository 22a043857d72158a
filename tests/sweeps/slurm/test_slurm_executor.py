"""The Slurm executor against stand-ins of Slurm's programs: what is submitted, found, lost."""

from __future__ import annotations

import threading
import time

import pytest

from experiments import failure
from experiments.rundir import now, read_status
from flow3r.errors import ConfigError
from flow3r.files import write_json
from sweeps.executors.ledger import DONE, FAILED
from sweeps.executors.rules import Policy
from sweeps.executors.slurm import executor as module
from sweeps.executors.slurm.executor import SlurmExecutor
from sweeps.executors.slurm.options import SlurmOptions
from sweeps.executors.slurm.queue import check_programs
from sweeps.executors.slurm.submission import FOLDER, Conduct, read_submission
from sweeps.jobs import REPOSITORY


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(module, "_SECOND_STOP_SECONDS", 0.3)
    monkeypatch.setattr("submitit.core.core.PicklingExecutor._throttle", lambda self: None)


@pytest.fixture
def start(workshop, slurm):
    """A function: jobs, words of the command line -> an executor that watches the fake cluster."""

    def make(jobs, retries=1, slots=None, deadline=None, **words):
        options = SlurmOptions.parse({"poll": "1", **words})
        options = SlurmOptions(**{**vars(options), "poll": 0.05})
        runtime = {"device": "cpu", "threads": 2}
        conduct = Conduct(runtime, slots, 1, Policy(retries=retries))
        return SlurmExecutor(
            jobs, workshop.folder, options, 2, conduct, workshop.recorder, deadline=deadline
        )

    return make


def write_end(job, state, reason=None):
    status = {"state": state, "reason": reason, "failure": None, "attempts": 1, "updated": now()}
    status |= {"step": 0, "total_steps": 0, "seconds": 0.0, "pid": 0, "host": "node-7"}
    job.directory.mkdir(parents=True, exist_ok=True)
    write_json(job.directory / "status.json", status)


def submissions(workshop):
    return [read_submission(path) for path in (workshop.folder / FOLDER).glob("flow3r-*")]


def in_background(action):
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def wait_until(condition, seconds: float = 20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def finish_all(slurm, jobs, count):
    """Let every job be done once `count` arrays were submitted."""

    def act():
        wait_until(lambda: len(slurm.submitted) == count)
        for job in jobs:
            write_end(job, "done")

    return in_background(act)


def family(workshop, runs=3):
    """A stage and the runs that need it."""
    stage = workshop.job("data", kind="dataset")
    return [stage, *(workshop.job(f"run{i}", needs=("data",)) for i in range(runs))]


def test_stages_and_runs_are_arrays_that_wait_for_each_other(start, workshop, slurm):
    jobs = family(workshop)
    words = {"partition": "gpu", "parallel": "2", "time": "90", "gpus": "1", "mem": "8G"}
    finish_all(slurm, jobs, 2)
    ledger = start(jobs, **words, **{"extra.constraint": "a100", "extra.exclusive": "true"}).run()
    assert {outcome.state for outcome in ledger.outcomes.values()} == {DONE}
    stage, runs = slurm.submitted
    assert "--array" not in stage
    assert "--dependency" not in stage
    for line in (
        *("--array=0-2%2", "--dependency=afterany:1", "--partition=gpu", "--time=90"),
        *("--gpus-per-node=1", "--mem=8G", "--cpus-per-task=2", "--signal=USR2@120"),
        *("--requeue", "--constraint=a100", "--exclusive"),
    ):
        assert f"#SBATCH {line}\n" in runs
    assert f"cd {REPOSITORY}\n" in runs
    assert " --cpus-per-task=2 " in runs.partition("\nsrun ")[2]


def test_runs_share_a_job_where_that_is_asked_for(start, workshop, slurm):
    jobs = family(workshop)
    finish_all(slurm, jobs, 2)
    start(jobs, runs_per_job="2", cpus="4").run()
    assert "--array=0-1%2\n" in slurm.submitted[1]
    assert "--cpus-per-task=4\n" in slurm.submitted[1]
    found = [s for s in submissions(workshop) if len(s.tasks) == 2]
    assert found[0].tasks == (("run0", "run1"), ("run2",))
    assert [job.id for job in found[0].jobs_of(1)] == ["data", "run2"]
    assert found[0].jobs_of(1)[1].directory == jobs[3].directory


def test_a_scheduler_finds_what_another_one_submitted(start, workshop, slurm):
    jobs = family(workshop)
    first = start(jobs)
    first._begin()
    assert len(slurm.submitted) == 2
    finish_all(slurm, jobs, 2)
    assert start(jobs).run().finished()
    assert len(slurm.submitted) == 2


def test_only_what_no_job_holds_is_submitted(start, workshop, slurm):
    jobs = family(workshop)
    start(jobs[:3])._begin()
    start(jobs)._begin()
    assert len(slurm.submitted) == 3
    assert "--dependency=afterany:1\n" in slurm.submitted[2]
    assert sorted(slurm.states()) == ["1", "2_0", "2_1", "3"]


def test_a_submission_of_which_sbatch_never_heard_is_made_again(start, workshop, slurm):
    """The scheduler was killed between the record and sbatch."""
    jobs = family(workshop)
    start(jobs)._begin()
    (slurm.folder / "queue").write_text("")
    start(jobs)._begin()
    assert len(slurm.submitted) == 4


def test_a_lost_job_is_submitted_again_and_then_fails(start, workshop, slurm):
    job = workshop.job("a")

    def lose_twice():
        wait_until(lambda: len(slurm.submitted) == 1)
        slurm.end("1", "NODE_FAIL")
        wait_until(lambda: len(slurm.submitted) == 2)
        assert read_status(job.directory)["state"] == "interrupted"
        assert read_status(job.directory)["failure"] == failure.KILLED
        slurm.end("2", "OUT_OF_MEMORY")

    thread = in_background(lose_twice)
    ledger = start([job]).run()
    thread.join()
    assert ledger.outcomes["a"].state == FAILED
    assert ledger.outcomes["a"].failure == failure.KILLED
    assert "killed: Slurm job 2 ended as OUT_OF_MEMORY; see " in ledger.outcomes["a"].reason
    assert ledger.outcomes["a"].reason.endswith("2_0_log.out")
    assert read_status(job.directory)["state"] == "failed"
    assert workshop.recorder.events == [("requeued", "a"), (FAILED, "a")]


def test_a_job_that_ends_well_while_we_look_is_not_lost(start, workshop, slurm):
    job = workshop.job("a")

    def end():
        wait_until(lambda: len(slurm.submitted) == 1)
        slurm.end("1", "COMPLETED")
        write_end(job, "done")

    in_background(end)
    assert start([job], retries=0).run().outcomes["a"].state == DONE
    assert len(slurm.submitted) == 1


def test_failures_count_when_they_are_new(start, workshop, slurm):
    jobs = family(workshop, runs=1)
    write_end(jobs[0], "failed", "an old one")

    def fail():
        wait_until(lambda: len(slurm.submitted) == 2)
        write_end(jobs[0], "failed", "a new one")

    in_background(fail)
    ledger = start(jobs).run()
    assert ledger.outcomes["data"].reason == "a new one"
    assert ledger.outcomes["run0"].reason == "needs data, which failed: a new one"
    known = submissions(workshop)[0].known
    assert known["data"]["reason"] == "an old one"


def test_while_slurm_gives_no_answer_nothing_counts_as_lost(start, workshop, slurm, capsys):
    job = workshop.job("a")

    def interrupt():
        wait_until(lambda: len(slurm.submitted) == 1)
        slurm.take_down()
        wait_until(lambda: "asking again" in capsys.readouterr().err)
        time.sleep(0.3)
        slurm.bring_up()
        write_end(job, "done")

    thread = in_background(interrupt)
    assert start([job], retries=0).run().outcomes["a"].state == DONE
    thread.join()
    assert len(slurm.submitted) == 1


def test_a_refusal_is_told_in_slurms_words(start, workshop, slurm):
    slurm.refuse("sbatch: error: invalid partition specified: gpus\n")
    with pytest.raises(ConfigError, match="invalid partition specified: gpus"):
        start([workshop.job("a")], partition="gpus").run()


def test_a_controller_that_is_down_is_a_mistake_at_the_start(start, workshop, slurm):
    slurm.take_down()
    with pytest.raises(ConfigError, match=r"launcher=slurm: Slurm gives no answer .*no controller"):
        start([workshop.job("a")]).run()


def test_missing_programs_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="sbatch, squeue, scancel, scontrol, srun cannot be"):
        check_programs()


def test_a_stop_leaves_the_jobs_and_a_second_one_cancels_them(start, workshop, slurm, capsys):
    jobs = family(workshop, runs=2)
    executor = start(jobs)

    def stop(times):
        wait_until(lambda: len(slurm.submitted) == 2)
        for _ in range(times):
            executor.stop()

    in_background(lambda: stop(1))
    assert not executor.run().finished()
    assert set(slurm.states().values()) == {"PENDING"}
    assert "Slurm goes on with the jobs" in capsys.readouterr().err
    executor = start(jobs)
    in_background(lambda: stop(2))
    assert not executor.run().finished()
    assert set(slurm.states().values()) == {"CANCELLED"}


def test_at_the_deadline_the_jobs_are_cancelled(start, workshop, slurm):
    executor = start(family(workshop), deadline=time.monotonic() + 0.5)
    assert not executor.run().finished()
    assert set(slurm.states().values()) == {"CANCELLED"}
