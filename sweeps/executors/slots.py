"""Runs jobs in local slots: one child process per slot, in the order the ledger asks for.

Nothing here decides what is done: states are read from the run directories under the directory's
lock, so two schedulers on one folder share the work, and a killed one is simply started again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from experiments.exit_codes import PAUSED
from experiments.rundir import read_status
from sweeps import states
from sweeps.executors.child import Child, last_line
from sweeps.executors.ledger import (
    ACTIVE,
    DONE,
    ELSEWHERE,
    FAILED,
    INTERRUPTED,
    WAITING,
    Ledger,
    Outcome,
)
from sweeps.executors.resources import Slot
from sweeps.jobs import Job
from sweeps.locks import LOCK_NAME, FileLock, try_lock

REQUEUE_EXIT_CODE = 75  # EX_TEMPFAIL: stopped after a checkpoint; going on costs nothing
_POLL_SECONDS = 0.2
_ELSEWHERE_SECONDS = 2.0


@dataclass(frozen=True)
class Policy:
    """What to do when a child ends badly.

    `retries`: new attempts after a death by signal (out of memory, an operator). An exit code other
    than 75 is not retried: the same program on the same input would fail again. `requeues` bounds
    the free ones, so that a child that always asks for another turn cannot spin for ever.
    """

    retries: int = 1
    requeues: int = 50


class Observer(Protocol):
    """Is told what happens; must return quickly."""

    def started(self, job: Job, slot: Slot) -> None: ...
    def ended(self, job: Job, outcome: Outcome) -> None: ...
    def requeued(self, job: Job, reason: str) -> None: ...
    def tick(self, ledger: Ledger) -> None: ...


@dataclass
class _Active:
    job: Job
    child: Child
    slot: Slot
    lock: FileLock
    before: dict | None


class LocalExecutor:
    """Executes jobs; `run` returns the ledger with every outcome."""

    def __init__(
        self,
        jobs: Sequence[Job],
        slots: Sequence[Slot],
        observer: Observer,
        runtime: dict[str, object],
        policy: Policy = Policy(),
        start: Callable[..., Child] = Child,
        seconds: Mapping[str, float] | None = None,
        known: Mapping[str, dict | None] | None = None,
    ) -> None:
        """`seconds`: expected duration per job id, for the order of starting. `known`: the status
        of each job when the sweep was asked for, where that was not just now."""
        self.ledger = Ledger(jobs, seconds)
        self._stops = self._stops_passed_on = 0
        self._free = list(slots)
        self._observer = observer
        self._runtime = runtime
        self._policy = policy
        self._start = start
        self._active: dict[str, _Active] = {}
        self._killed: dict[str, int] = dict.fromkeys(self.ledger.jobs, 0)
        self._requeued: dict[str, int] = dict.fromkeys(self.ledger.jobs, 0)
        self._looked: dict[str, float] = {}
        # Failures of an earlier invocation are tried again; those that appear while this one runs
        # were made by another scheduler and count as they are.
        self._known = known or {job.id: read_status(job.directory) for job in jobs}

    def run(self) -> Ledger:
        """Run until every job has ended, or until a signal stops it."""
        with stop_on_signals(self.stop):
            while not self.ledger.finished():
                self._pass_on_stop()
                self._reap()
                if self.stopping and not self._active:
                    break
                if not self.stopping:
                    self._fill()
                self._observer.tick(self.ledger)
                time.sleep(_POLL_SECONDS)
        return self.ledger

    @property
    def stopping(self) -> bool:
        return self._stops > 0

    def stop(self) -> None:
        """First call: children checkpoint and end. Second call: they are killed."""
        self._stops += 1  # the loop acts on it: a signal may arrive while a child is being started

    def _pass_on_stop(self) -> None:
        if self._stops_passed_on >= min(self._stops, 2):
            return
        self._stops_passed_on = min(self._stops, 2)
        for active in self._active.values():
            if self._stops_passed_on == 2:
                active.child.kill()
            else:
                active.child.terminate()

    # -- starting ------------------------------------------------------------------------------

    def _fill(self) -> None:
        while self._fill_until_settled():
            pass

    def _fill_until_settled(self) -> bool:
        """Start what fits. True as soon as a job turns out to have ended already: what waited for
        it may be more urgent than the rest of the list."""
        for job in self.ledger.ready():
            if not self._due(job):
                continue
            if not self._free:
                return False
            lock = self._claim(job)
            if lock is not None:
                self._launch(job, lock)
            elif self.ledger.state(job.id) != ELSEWHERE:
                return True
        return False

    def _due(self, job: Job) -> bool:
        """Whether to look at a job again that another scheduler had when we last looked."""
        if self.ledger.state(job.id) != ELSEWHERE:
            return True
        return time.monotonic() - self._looked[job.id] >= _ELSEWHERE_SECONDS

    def _claim(self, job: Job) -> FileLock | None:
        """Lock the directory and look again; None where there is nothing to start."""
        lock = try_lock(job.directory / LOCK_NAME)
        state = states.state_of(job.directory)
        if lock is None or state == states.RUNNING:
            self.ledger.mark(job.id, ELSEWHERE)
            self._looked[job.id] = time.monotonic()
        elif state == states.DONE:
            self._settle(job, Outcome(DONE))
        elif state == states.FAILED and self._failed_elsewhere(job):
            status = read_status(job.directory) or {}
            self._settle(job, Outcome(FAILED, status.get("reason")))
        else:
            return lock
        if lock is not None:
            lock.release()
        return None

    def _failed_elsewhere(self, job: Job) -> bool:
        return read_status(job.directory) != self._known[job.id]

    def _launch(self, job: Job, lock: FileLock) -> None:
        slot = self._free.pop(0)
        runtime = {**self._runtime, "threads": slot.threads}
        try:
            states.write_spec(job.directory, job.kind, job.id, job.spec, runtime)
            before = read_status(job.directory)
            child = self._start(job, slot.environment(), lock.fd)
        except OSError as error:  # a full disk, too many processes: this job fails, not the sweep
            lock.release()
            self._free.append(slot)
            self._settle(job, Outcome(FAILED, f"could not be started: {error}"))
            return
        self._active[job.id] = _Active(job, child, slot, lock, before)
        self.ledger.mark(job.id, ACTIVE)
        self._observer.started(job, slot)

    # -- ending --------------------------------------------------------------------------------

    def _reap(self) -> None:
        for active in list(self._active.values()):
            code = active.child.poll()
            if code is None:
                continue
            del self._active[active.job.id]
            try:
                self._conclude(active, code)
            finally:
                active.lock.release()
                self._free = sorted([*self._free, active.slot], key=lambda slot: slot.index)

    def _conclude(self, active: _Active, code: int) -> None:
        job = active.job
        status = read_status(job.directory) or {}
        if code == 0 and status.get("state") == states.DONE:
            self._settle(job, Outcome(DONE))
        elif self.stopping and code in (REQUEUE_EXIT_CODE, -signal.SIGTERM, -signal.SIGKILL):
            reason = (
                "stopped by the user" if code == REQUEUE_EXIT_CODE else self._explain(active, code)
            )
            self._write(job, states.INTERRUPTED, reason)
            self._settle(job, Outcome(INTERRUPTED, reason))
        elif code == REQUEUE_EXIT_CODE and str(status.get("reason")).startswith(PAUSED):
            self._settle(job, Outcome(INTERRUPTED, status["reason"]))
        elif code == REQUEUE_EXIT_CODE and self._requeued[job.id] < self._policy.requeues:
            self._requeued[job.id] += 1
            self._requeue(job, "stopped after a checkpoint")
        elif code < 0 and self._killed[job.id] < self._policy.retries:
            self._killed[job.id] += 1
            self._requeue(job, self._explain(active, code))
        else:
            reason = self._explain(active, code)
            self._write(job, states.FAILED, reason)
            self._settle(job, Outcome(FAILED, reason))

    def _requeue(self, job: Job, reason: str) -> None:
        self._write(job, states.INTERRUPTED, reason)
        self.ledger.mark(job.id, WAITING)
        self._observer.requeued(job, reason)

    def _settle(self, job: Job, outcome: Outcome) -> None:
        settle(self.ledger, self._observer, job, outcome)

    def _write(self, job: Job, state: str, reason: str) -> None:
        """Record an outcome unless the child has written the same state itself."""
        status = read_status(job.directory) or {}
        if status.get("state") != state or not status.get("reason"):
            states.record_outcome(job.directory, state, reason)

    def _explain(self, active: _Active, code: int) -> str:
        """One line that says why a child failed; its own words where it left any."""
        if code < 0:
            name = signal.Signals(-code).name
            return f"killed by {name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
        status = read_status(active.job.directory) or {}
        if (
            status != active.before
            and status.get("state") == states.FAILED
            and status.get("reason")
        ):
            return str(status["reason"])
        if code == 0:
            return f"exit code 0, but its status is {status.get('state', states.PENDING)!r}"
        if code == REQUEUE_EXIT_CODE:
            return f"asked to be requeued more than {self._policy.requeues} times"
        return f"exit code {code}: {last_line(active.job.directory / 'log.txt')}"


def settle(ledger: Ledger, observer: Observer, job: Job, outcome: Outcome) -> None:
    """A job has ended: record the failure of what needed it, and tell the observer."""
    fallen = ledger.settle(job.id, outcome)
    observer.ended(job, outcome)
    for name in fallen:
        dependent, because = ledger.jobs[name], ledger.outcomes[name]
        states.record_outcome(dependent.directory, states.FAILED, because.reason or "")
        observer.ended(dependent, because)


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at SIGINT, SIGTERM and when the terminal is closed, as often as they come."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {s: signal.getsignal(s) for s in names}
    for number, handler in previous.items():
        if handler is not signal.SIG_IGN:  # nohup ignores SIGHUP: let it
            signal.signal(number, lambda *_: stop())
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
