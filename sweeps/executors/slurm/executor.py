"""Runs jobs as Slurm arrays: submits them, then watches run directories and the queue.

What is done, and how it ended, stands in the run directories; Slurm's queue only says whether
somebody will still do the rest. So this process may be killed at any time: the jobs go on, and the
same command finds them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from experiments import failure
from experiments.exit_codes import PAUSED
from experiments.rundir import read_status
from flow3r.errors import ConfigError
from flow3r.locks import locked
from sweeps import states
from sweeps.executors.ledger import (
    ACTIVE,
    DONE,
    FAILED,
    INTERRUPTED,
    WAITING,
    Ledger,
    Outcome,
)
from sweeps.executors.resources import Slot
from sweeps.executors.rules import Observer, record, settle, stop_on_signals
from sweeps.executors.slurm.arrays import arrays
from sweeps.executors.slurm.options import SlurmOptions
from sweeps.executors.slurm.queue import QueuedTask, QueueError, cancel, read_queue
from sweeps.executors.slurm.sbatch import submit
from sweeps.executors.slurm.submission import (
    FOLDER,
    Conduct,
    Submission,
    find_submission,
    write_submission,
)
from sweeps.jobs import Job

_LOOK_SECONDS = 1.0
_SECOND_STOP_SECONDS = 5.0
_CANCEL_SECONDS = 60.0


@dataclass(frozen=True)
class SlurmPlace(Slot):
    """A task of a Slurm array, where other executors have a slot."""

    task: str = ""

    def where(self) -> str:
        return f"Slurm job {self.task}"


class SlurmExecutor:
    """Executes jobs on a cluster; `run` returns the ledger with every outcome."""

    def __init__(
        self,
        jobs: Sequence[Job],
        output_dir: Path,
        options: SlurmOptions,
        cores: int,
        work: Conduct,
        observer: Observer,
        seconds: Mapping[str, float] | None = None,
        deadline: float | None = None,
    ) -> None:
        """`cores`: of one Slurm job where the options name no number. `seconds`: expected duration
        per job id. `deadline`: when to cancel what is left, on the clock of `time.monotonic`."""
        self.ledger = Ledger(jobs, seconds)
        self._output_dir, self._options, self._cores = output_dir, options, cores
        self._work, self._observer, self._deadline = work, observer, deadline
        self._known = {job.id: read_status(job.directory) for job in jobs}
        self._lost = dict.fromkeys(self.ledger.jobs, 0)
        self._held: dict[str, QueuedTask] = {}
        self._submissions: dict[str, Submission | None] = {}
        self._missing: set[str] = set()
        self._unsubmitted: list[Job] = []
        self._complaint = ""
        self._stops = 0

    def run(self) -> Ledger:
        """Run until every job has ended, or until a signal stops it.

        Raises ConfigError where Slurm gives no answer or refuses the jobs.
        """
        with stop_on_signals(self.stop):
            self._look()
            if not self.ledger.finished():
                self._begin()
            looked = time.monotonic()
            while not (self.ledger.finished() or self._stops or self._time_is_up()):
                time.sleep(_LOOK_SECONDS)
                if time.monotonic() - looked >= self._options.poll:
                    self._look_at_queue()
                    looked = time.monotonic()
                self._look()
                self._observer.tick(self.ledger)
            if not self.ledger.finished():
                self._leave()
        return self.ledger

    def stop(self) -> None:
        """First call: leave the jobs to Slurm. Second call: cancel them."""
        self._stops += 1

    def _time_is_up(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    # -- watching ------------------------------------------------------------------------------

    def _open(self) -> list[Job]:
        ended = self.ledger.outcomes
        return [job for job in self.ledger.jobs.values() if job.id not in ended]

    def _look(self) -> None:
        """Learn from the run directories."""
        for job in self._open():
            if job.id in self.ledger.outcomes:
                continue  # it fell with a job before it in this very look
            status = read_status(job.directory) or {}
            state = states.state_of(job.directory)
            news = status != self._known[job.id]
            if state == states.DONE:
                settle(self.ledger, self._observer, job, Outcome(DONE))
            elif state == states.FAILED and news:
                outcome = Outcome(FAILED, status["reason"], status.get("failure"))
                settle(self.ledger, self._observer, job, outcome)
            elif state == states.INTERRUPTED and news and _paused(status):
                outcome = Outcome(INTERRUPTED, status["reason"])
                settle(self.ledger, self._observer, job, outcome)
            else:
                self._note(job, state, status.get("reason"))

    def _note(self, job: Job, state: str, reason: str | None) -> None:
        before = self.ledger.state(job.id)
        if state == states.RUNNING and before != ACTIVE:
            self.ledger.mark(job.id, ACTIVE)
            self._observer.started(job, self._place(job))
        elif state != states.RUNNING and before == ACTIVE:
            self.ledger.mark(job.id, WAITING)
            self._observer.requeued(job, reason or "ended without a word")

    def _place(self, job: Job) -> Slot:
        task = self._held.get(job.id)
        return SlurmPlace(task.index, task=task.id) if task else SlurmPlace(0, task="elsewhere")

    # -- the queue -----------------------------------------------------------------------------

    def _begin(self) -> None:
        """Submit what no job in the queue will do."""
        with self._one_at_a_time():
            try:
                self._see(read_queue())
            except QueueError as error:
                raise ConfigError(f"launcher=slurm: Slurm gives no answer ({error})") from None
            if self._held:
                found = sum(job.id in self._held for job in self._open())
                _say(f"{found} of {len(self._open())} jobs are in Slurm's queue already")
            self._submit(self._open())

    def _look_at_queue(self) -> None:
        """Submit again what was to be done by jobs that are gone."""
        with self._one_at_a_time():
            try:
                tasks = self._see(read_queue())
                self._look()  # after the queue: what has ended meanwhile is not lost
                lost = self._lost_jobs()
                self._unsubmitted += [job for job in lost if self._may_go_on(job, tasks)]
                self._submit(self._unsubmitted)
                self._unsubmitted, self._complaint = [], ""
            except (QueueError, ConfigError) as error:
                self._complain(f"{error}; asking again")

    def _one_at_a_time(self) -> AbstractContextManager[None]:
        """Schedulers of one folder must not both find a job missing and submit it."""
        return locked(self._output_dir / FOLDER / ".lock")

    def _see(self, queue: Iterable[QueuedTask]) -> dict[str, QueuedTask]:
        """The task of each job: one that lives, else the last one that did."""
        tasks: dict[str, QueuedTask] = {}
        for task in sorted(queue, key=lambda task: (task.alive, task.base)):
            if task.name not in self._submissions:
                self._submissions[task.name] = find_submission(self._output_dir, task.name)
            if (submission := self._submissions[task.name]) is not None:
                tasks |= dict.fromkeys(submission.tasks[task.index], task)
        self._held = {name: task for name, task in tasks.items() if task.alive}
        return tasks

    def _submit(self, jobs: Sequence[Job]) -> None:
        wanted = [job for job in jobs if job.id not in self._held | self.ledger.outcomes]
        for array in arrays(wanted, self._options.runs_per_job):
            submission = write_submission(
                self._output_dir, array, self.ledger.jobs, self._known, self._work
            )
            members = [job for task in array for job in task]
            for job in members:
                self._write_spec(job)
            needed = {name for job in members for name in job.depends_on}
            after = {self._held[name].base for name in needed & self._held.keys()}
            base = submit(submission, self._options, self._cores, after)
            for index, task in enumerate(array):
                queued = QueuedTask(base, index, len(array) > 1, "PENDING", submission.name)
                self._held |= dict.fromkeys((job.id for job in task), queued)

    def _write_spec(self, job: Job) -> None:
        """For the Slurm job to read; with the directory claimed it writes the runtime anew."""
        if not (job.directory / "spec.json").exists():
            runtime = dict(self._work.runtime)
            states.write_spec(job.directory, job.kind, job.id, job.spec, runtime)

    def _lost_jobs(self) -> list[Job]:
        """Missing in two looks: a shared file system may show an end later than Slurm does."""
        waiting = {job.id for job in self._unsubmitted}
        missing = [
            job
            for job in self._open()
            if job.id not in self._held
            and job.id not in waiting
            and states.state_of(job.directory) != states.RUNNING
        ]
        lost = [job for job in missing if job.id in self._missing]
        self._missing = {job.id for job in missing} - {job.id for job in lost}
        return lost

    def _may_go_on(self, job: Job, tasks: Mapping[str, QueuedTask]) -> bool:
        """Record that a job was lost; it fails where that happened too often."""
        task = tasks.get(job.id)
        how = f"Slurm job {task.id} ended as {task.state}" if task else "its Slurm job is gone"
        reason = f"killed: {how}{self._log_of(task)}"
        self._lost[job.id] += 1
        if self._lost[job.id] > self._work.policy.retries:
            reason = record(job, states.FAILED, reason, failure.KILLED)
            outcome = Outcome(FAILED, reason, failure.KILLED)
            settle(self.ledger, self._observer, job, outcome)
            return False
        reason = record(job, states.INTERRUPTED, reason, failure.KILLED)
        self._known[job.id] = read_status(job.directory)
        self.ledger.mark(job.id, WAITING)
        self._observer.requeued(job, reason)
        return True

    def _log_of(self, task: QueuedTask | None) -> str:
        if task is None:
            return ""
        return f"; see {self._output_dir / FOLDER / task.name / f'{task.id}_0_log.out'}"

    # -- stopping ------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Leave the jobs to Slurm; cancel them at the deadline, or where asked a second time."""
        if self._time_is_up():
            self._cancel()
            return
        _say(
            "Slurm goes on with the jobs, and the same command watches them again; "
            f"Ctrl-C within {_SECOND_STOP_SECONDS:.0f} s cancels them"
        )
        _wait_until(lambda: self._stops > 1, _SECOND_STOP_SECONDS)
        if self._stops > 1:
            self._cancel()

    def _cancel(self) -> None:
        wanted = {job.id for job in self._open()}

        def alive() -> list[QueuedTask]:
            self._see(read_queue())
            return list({self._held[name] for name in wanted & self._held.keys()})

        try:
            cancel(alive())
            _say("cancelled; waiting for the jobs to write their checkpoints")
            _wait_until(lambda: not alive(), _CANCEL_SECONDS)
        except QueueError as error:
            self._complain(f"some jobs may go on: {error}")
        self._look()

    def _complain(self, words: str) -> None:
        """Once for the same thing, not at every look."""
        if words != self._complaint:
            _say(f"warning: {words}")
        self._complaint = words


def _paused(status: Mapping[str, object]) -> bool:
    return str(status.get("reason")).startswith(PAUSED)


def _say(words: str) -> None:
    """Beside the console, whose output may be for a program."""
    print(words, file=sys.stderr, flush=True)


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.5)
