"""Runs jobs in local slots: one child process per slot, in the order the ledger asks for.

Nothing here decides what is done: states are read from the run directories under a claim to the
directory, so that schedulers on one folder share the work, and a killed one is started again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments import failure
from experiments.exit_codes import INTERRUPTED as REQUEUE
from experiments.exit_codes import PAUSED
from experiments.lease import RENEW_SECONDS, VARIABLE
from experiments.rundir import read_status
from sweeps import states
from sweeps.executors.attempt import Attempt
from sweeps.executors.child import Child
from sweeps.executors.claims import Claim, claim
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
from sweeps.executors.rules import RETRIED, Observer, Policy, record, settle, stop_on_signals
from sweeps.jobs import Job

_POLL_SECONDS = 0.2
_WATCH_SECONDS = 1.0
_ELSEWHERE_SECONDS = 2.0
NO_LIMITS = Policy()
_LEAST_SECONDS = 5.0  # a job started with less time left would not get to work


class LocalExecutor:
    """Executes jobs; `run` returns the ledger with every outcome."""

    def __init__(
        self,
        jobs: Sequence[Job],
        slots: Sequence[Slot],
        observer: Observer,
        runtime: dict[str, object],
        policy: Policy = NO_LIMITS,
        start: Callable[..., Child] = Child,
        seconds: Mapping[str, float] | None = None,
        known: Mapping[str, dict[str, Any] | None] | None = None,
        deadline: float | None = None,
    ) -> None:
        """`seconds`: expected duration per job id, for the order of starting. `known`: the status
        of each job when the sweep was asked for, where that was not just now. `deadline`: when to
        stop as after a first signal, on the clock of `time.monotonic`."""
        self.ledger = Ledger(jobs, seconds)
        self._stops = self._stops_passed_on = 0
        self._deadline = deadline
        self._free = list(slots)
        self._observer = observer
        self._runtime = runtime
        self._policy = policy
        self._start = start
        self._active: dict[str, Attempt] = {}
        self._retried: dict[str, int] = dict.fromkeys(self.ledger.jobs, 0)
        self._requeued: dict[str, int] = dict.fromkeys(self.ledger.jobs, 0)
        self._looked: dict[str, float] = {}
        self._watched = self._renewed = time.monotonic()
        # Failures of an earlier invocation are tried again; those that appear while this one runs
        # were made by another scheduler and count as they are.
        self._known = known or {job.id: read_status(job.directory) for job in jobs}

    def run(self) -> Ledger:
        """Run until every job has ended, or until a signal or the deadline stops it."""
        with stop_on_signals(self.stop):
            while not self.ledger.finished():
                if self._time_is_up() and not self.stopping:
                    self.stop()
                self._pass_on_stop()
                self._renew()
                self._watch()
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
        for attempt in self._active.values():
            if self._stops_passed_on == 2:
                attempt.child.kill()
            else:
                attempt.child.terminate()

    def _time_is_up(self, within: float = 0.0) -> bool:
        return self._deadline is not None and time.monotonic() + within >= self._deadline

    # -- watching ------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Renew the leases; a job that another scheduler has taken over is let go."""
        if time.monotonic() - self._renewed < RENEW_SECONDS:
            return
        self._renewed = time.monotonic()
        for attempt in self._active.values():
            if not attempt.claim.lease.renew():
                attempt.child.kill()

    def _watch(self) -> None:
        """End attempts that take too long or give no sign of life."""
        if time.monotonic() - self._watched < _WATCH_SECONDS:
            return
        self._watched = time.monotonic()
        limit, stall, grace = self._policy.timeout, self._policy.stall, self._policy.grace
        for attempt in self._active.values():
            if attempt.silent_seconds() > stall:
                attempt.condemn(failure.STALLED, f"no sign of life for {stall:g} s")
                attempt.child.kill()
            elif limit is not None and attempt.seconds() > limit + grace:
                attempt.child.kill()
            elif limit is not None and attempt.seconds() > limit and attempt.condemned is None:
                attempt.condemn(failure.TIMEOUT, f"took longer than timeout={limit:g} s")
                attempt.child.terminate()

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
            if not self._free or self._time_is_up(within=_LEAST_SECONDS):
                return False
            claimed = self._claim(job)
            if claimed is not None:
                self._launch(job, claimed)
            elif self.ledger.state(job.id) != ELSEWHERE:
                return True
        return False

    def _due(self, job: Job) -> bool:
        """Whether to look at a job again that another scheduler had when we last looked."""
        if self.ledger.state(job.id) != ELSEWHERE:
            return True
        return time.monotonic() - self._looked[job.id] >= _ELSEWHERE_SECONDS

    def _claim(self, job: Job) -> Claim | None:
        """Claim the directory and look again; None where there is nothing to start."""
        if self._has_ended(job):  # nothing to claim; looked at again below, as it may end meanwhile
            return None
        try:
            claimed = claim(job.directory)
        except OSError as error:  # a full disk: this job fails, not the sweep
            self._fail(job, failure.START, f"could not be started: {error}")
            return None
        if claimed is None:
            self._leave(job)
        elif self._has_ended(job):
            claimed.release()
        elif states.state_of(job.directory) == states.RUNNING:
            claimed.release()
            self._leave(job)
        else:
            return claimed
        return None

    def _leave(self, job: Job) -> None:
        """Somebody else is at work there."""
        self.ledger.mark(job.id, ELSEWHERE)
        self._looked[job.id] = time.monotonic()

    def _has_ended(self, job: Job) -> bool:
        """Settle a job that is done, or that another scheduler saw fail."""
        status = read_status(job.directory) or {"state": states.PENDING}
        if status["state"] == states.DONE:
            self._settle(job, Outcome(DONE))
        elif status["state"] == states.FAILED and status != self._known[job.id]:
            self._settle(job, Outcome(FAILED, status.get("reason"), status.get("failure")))
        else:
            return False
        return True

    def _launch(self, job: Job, claimed: Claim) -> None:
        slot = self._free.pop(0)
        runtime = {**self._runtime, "threads": slot.threads}
        environment = {**slot.environment(), VARIABLE: str(claimed.lease.path)}
        try:
            states.write_spec(job.directory, job.kind, job.id, job.spec, runtime)
            before = read_status(job.directory)
            child = self._start(job, environment, claimed.lock.fd)
        except OSError as error:  # a full disk, too many processes: this job fails, not the sweep
            self._free.append(slot)
            self._fail(job, failure.START, f"could not be started: {error}")
            claimed.release()
            return
        self._active[job.id] = Attempt(job, child, slot, claimed, before)
        self.ledger.mark(job.id, ACTIVE)
        self._observer.started(job, slot)

    # -- ending --------------------------------------------------------------------------------

    def _reap(self) -> None:
        for attempt in list(self._active.values()):
            code = attempt.child.poll()
            if code is None:
                continue
            del self._active[attempt.job.id]
            try:
                if attempt.claim.lease.renew():
                    self._conclude(attempt, code)
                else:  # cut off for so long that another scheduler took over: the job is theirs
                    self._leave(attempt.job)
                    self._observer.requeued(attempt.job, "taken over by another scheduler")
            finally:
                attempt.claim.release()
                self._free = sorted([*self._free, attempt.slot], key=lambda slot: slot.index)

    def _conclude(self, attempt: Attempt, code: int) -> None:
        job = attempt.job
        status = read_status(job.directory) or {}
        if code == 0 and status.get("state") == states.DONE:
            self._settle(job, Outcome(DONE))
        elif code == REQUEUE and str(status.get("reason")).startswith(PAUSED):
            self._settle(job, Outcome(INTERRUPTED, status["reason"]))
        elif self.stopping and code in (REQUEUE, -signal.SIGTERM, -signal.SIGKILL):
            self._interrupt(job, code)
        elif code == REQUEUE and attempt.condemned is None:
            self._another_turn(job)
        else:
            end = attempt.end(code)
            if end.failure in RETRIED and self._retried[job.id] < self._policy.retries:
                self._retried[job.id] += 1
                self._requeue(job, end.reason, end.failure)
            else:
                self._fail(job, end.failure, end.reason)

    def _interrupt(self, job: Job, code: int) -> None:
        """The end of a child that we stopped."""
        reason = self._why_stopped()
        if code != REQUEUE:
            reason += f", {signal.Signals(-code).name} before a last checkpoint"
        self._settle(job, Outcome(INTERRUPTED, record(job, states.INTERRUPTED, reason)))

    def _why_stopped(self) -> str:
        return "stopped: the time is up" if self._time_is_up() else "stopped by the user"

    def _another_turn(self, job: Job) -> None:
        """A child stopped by itself after a checkpoint."""
        if self._requeued[job.id] < self._policy.requeues:
            self._requeued[job.id] += 1
            self._requeue(job, "stopped after a checkpoint")
        else:
            often = self._policy.requeues
            self._fail(job, failure.EXIT, f"asked to be requeued more than {often} times")

    def _requeue(self, job: Job, reason: str, name: str | None = None) -> None:
        reason = record(job, states.INTERRUPTED, reason, name)
        self.ledger.mark(job.id, WAITING)
        self._observer.requeued(job, reason)

    def _fail(self, job: Job, name: str, reason: str) -> None:
        self._settle(job, Outcome(FAILED, record(job, states.FAILED, reason, name), name))

    def _settle(self, job: Job, outcome: Outcome) -> None:
        settle(self.ledger, self._observer, job, outcome)
