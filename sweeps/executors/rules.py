"""What executors have in common: what they do about failures, whom they tell, how they stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from experiments import failure
from sweeps import states
from sweeps.executors.ledger import Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.jobs import Job

RETRIED = (failure.KILLED, failure.OUT_OF_MEMORY, failure.TIMEOUT, failure.STALLED)
"""Failures after which another attempt may go well. The same program on the same input meets the
others again."""


@dataclass(frozen=True)
class Policy:
    """What to do when a child ends badly; times are seconds.

    `retries`: new attempts after the failures in RETRIED, all together. `requeues` bounds the free
    ones after a checkpoint, so that a child that always asks for another turn cannot spin for ever.
    An attempt that takes longer than `timeout` is asked to stop, and killed after `grace`; one that
    gives no sign of life for `stall` is killed.
    """

    retries: int = 1
    requeues: int = 50
    timeout: float | None = None
    stall: float = 1800.0
    grace: float = 60.0


class Observer(Protocol):
    """Is told what happens; must return quickly."""

    def started(self, job: Job, slot: Slot) -> None: ...
    def ended(self, job: Job, outcome: Outcome) -> None: ...
    def requeued(self, job: Job, reason: str) -> None: ...
    def tick(self, ledger: Ledger) -> None: ...


def record(job: Job, state: str, reason: str, name: str | None = None) -> str:
    """Write how a job ended into its directory; the reason, with what went wrong with that.

    `name`: of the failure. A full disk must not end the scheduler, which knows the outcome anyway.
    """
    try:
        states.record_outcome(job.directory, state, reason, name)
    except OSError as error:
        return f"{reason} (could not be recorded: {error})"
    return reason


def settle(ledger: Ledger, observer: Observer, job: Job, outcome: Outcome) -> None:
    """A job has ended: record the failure of what needed it, and tell the observer."""
    fallen = ledger.settle(job.id, outcome)
    observer.ended(job, outcome)
    for name in fallen:
        dependent, because = ledger.jobs[name], ledger.outcomes[name]
        record(dependent, states.FAILED, because.reason or "", because.failure)
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
