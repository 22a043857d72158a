"""What a Slurm job runs: its share of a submission, in the places of its node."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from submitit.helpers import Checkpointable, JobEnvironment

from experiments import exit_codes
from sweeps.executors.child import Child
from sweeps.executors.gpu_memory import fitting_runs
from sweeps.executors.ledger import FAILED, INTERRUPTED, Ledger, Outcome
from sweeps.executors.resources import Slot, gpus_for, local_slots
from sweeps.executors.slots import LocalExecutor
from sweeps.executors.slurm.queue import state_of_job
from sweeps.executors.slurm.submission import Conduct, Submission, read_submission
from sweeps.jobs import Job

NOTICE = signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]
"""With this signal Slurm says that the time limit is near or that the job is preempted."""


class Work(Checkpointable):
    """Does a task of a submission; submitit calls it in a job and requeues the job after a notice.

    Claims and failures are those of every sweep: the local executor does the jobs and what they
    need. How each ended stands in its directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, index: int) -> None:
        requeue = signal.getsignal(NOTICE)
        executor = _NodeExecutor(read_submission(self.folder), index)
        signal.signal(NOTICE, lambda *_: executor.notice())
        ledger = executor.run()
        signal.signal(NOTICE, requeue)
        if executor.stopping and _unfinished(ledger):
            if executor.noticed or _still_running():
                signal.raise_signal(NOTICE)  # submitit requeues the job and ends the process
            sys.exit(exit_codes.INTERRUPTED)
        failed = any(outcome.state == FAILED for outcome in ledger.outcomes.values())
        sys.exit(exit_codes.FAILED if failed else exit_codes.DONE)


class _NodeExecutor(LocalExecutor):
    """The local executor inside a Slurm job."""

    def __init__(self, submission: Submission, index: int) -> None:
        work, jobs = submission.work, submission.jobs_of(index)
        specs = [job.spec for job in jobs if job.is_run]
        per_gpu = work.per_gpu or fitting_runs(specs, work.runtime["device"], submission.output_dir)
        super().__init__(
            jobs,
            allocated_slots(work, per_gpu, int(os.environ["SLURM_CPUS_PER_TASK"])),
            _Log(),
            dict(work.runtime),
            work.policy,
            start=_shielded,
            known=submission.known,
        )
        self.noticed = False

    def notice(self) -> None:
        """Slurm wants the node back. Called in a signal handler, where `print` may not be."""
        os.write(sys.stdout.fileno(), b"notice of Slurm: checkpoints, then another turn\n")
        self.noticed = True
        self.stop()

    def stop(self) -> None:
        """Checkpoint and end. Slurm repeats itself; when patience ends it kills by itself."""
        if not self.stopping:
            super().stop()

    def _why_stopped(self) -> str:
        cause = "time limit or preemption" if self.noticed else "SIGTERM"
        return f"stopped by Slurm: {cause}"


class _Log:
    """An observer that writes lines into the log of the Slurm job."""

    def started(self, job: Job, slot: Slot) -> None:
        print(f"start {job.label} ({job.id}) on {slot.where()}", flush=True)

    def ended(self, job: Job, outcome: Outcome) -> None:
        why = f": {outcome.reason}" if outcome.reason else ""
        print(f"{outcome.state} {job.label} ({job.id}){why}", flush=True)

    def requeued(self, job: Job, reason: str) -> None:
        print(f"again {job.label} ({job.id}): {reason}", flush=True)

    def tick(self, ledger: Ledger) -> None:
        """Nothing to show."""


def allocated_slots(work: Conduct, per_gpu: int, cores: int) -> list[Slot]:
    """The places of a job: `per_gpu` on each of its GPUs, else by the `cores` that Slurm gave it.

    Not by the cores of the node: where Slurm does not bind processes, all of them can be seen.
    """
    device, threads = work.runtime["device"], work.runtime["threads"]
    processes = work.runtime.get("processes", 1)
    if gpus_for(device):
        return local_slots(work.slots, device, threads, processes, per_gpu)
    return local_slots(work.slots or max(1, cores // (threads * processes)), device, threads)


def _shielded(job: Job, environment: Mapping[str, str], lock_fd: int) -> Child:
    """A child that hears of Slurm's notice through us only.

    Some clusters signal every process of a job: those that do not listen yet, or never do, such as
    loaders, would die of it. A child inherits the blocked signal.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {NOTICE})
    try:
        return Child(job, environment, lock_fd)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unfinished(ledger: Ledger) -> bool:
    ended = [outcome.state for outcome in ledger.outcomes.values()]
    return INTERRUPTED in ended or not ledger.finished()


def _still_running() -> bool:
    """Whether a job that got SIGTERM alone is to go on: preempted with a period of grace, then.

    One that was cancelled, or that Slurm requeues by itself, runs no longer in Slurm's eyes.
    """
    return state_of_job(JobEnvironment().job_id) == "RUNNING"
