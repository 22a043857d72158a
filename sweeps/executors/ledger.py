"""Which job may start next: a pure state machine, without processes or disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.failure import PREREQUISITE
from sweeps.jobs import Job

WAITING, ACTIVE, ELSEWHERE = "waiting", "active", "elsewhere"
DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"
_SETTLED = frozenset({DONE, FAILED, INTERRUPTED})


@dataclass(frozen=True)
class Outcome:
    """How a job ended, and why where it did not end well.

    `failure`: a name of `experiments.failure`, for a failed job.
    """

    state: str
    reason: str | None = None
    failure: str | None = None


class Ledger:
    """The state of every job; hands out ready jobs in order of priority.

    Priority: the job with the longest chain of work from its start to the end of the sweep, then
    the one that most jobs wait for, then the order of the plan. A job whose prerequisite failed
    fails without being started.
    """

    def __init__(self, jobs: Sequence[Job], seconds: Mapping[str, float] | None = None) -> None:
        """`seconds`: expected duration per job id, as far as known; 1 for the others."""
        self.jobs = {job.id: job for job in jobs}
        self.outcomes: dict[str, Outcome] = {}
        self._state = dict.fromkeys(self.jobs, WAITING)
        self._dependents: dict[str, list[str]] = {name: [] for name in self.jobs}
        for job in jobs:
            for name in job.depends_on:
                if name not in self.jobs:
                    raise ValueError(f"{job.id} depends on {name}, which is not in the plan")
                self._dependents[name].append(job.id)
        self._order = self._priorities(jobs, seconds or {})

    def state(self, name: str) -> str:
        return self._state[name]

    def ready(self) -> list[Job]:
        """Jobs that are not running and whose prerequisites are done, most urgent first."""
        names = [
            name
            for name, state in self._state.items()
            if state in (WAITING, ELSEWHERE)
            and all(self._state[d] == DONE for d in self.jobs[name].depends_on)
        ]
        return [self.jobs[name] for name in sorted(names, key=self._order.__getitem__)]

    def by_urgency(self) -> list[Job]:
        """All jobs, the most urgent first."""
        return [self.jobs[name] for name in sorted(self.jobs, key=self._order.__getitem__)]

    def mark(self, name: str, state: str) -> None:
        """Set a state that is not an end: waiting, active or elsewhere."""
        self._state[name] = state

    def settle(self, name: str, outcome: Outcome) -> list[str]:
        """Record how a job ended; returns the jobs that failed with it because they needed it."""
        self._state[name] = outcome.state
        self.outcomes[name] = outcome
        if outcome.state != FAILED:
            return []
        reason = outcome.reason or "no reason recorded"
        if not reason.startswith("needs "):
            reason = f"needs {name}, which failed: {reason}"
        because = Outcome(FAILED, reason, PREREQUISITE)
        fallen: list[str] = []
        for dependent in self._dependents[name]:
            if self._state[dependent] not in _SETTLED:
                fallen += [dependent, *self.settle(dependent, because)]
        return fallen

    def finished(self) -> bool:
        return all(state in _SETTLED for state in self._state.values())

    def _priorities(
        self, jobs: Sequence[Job], seconds: Mapping[str, float]
    ) -> dict[str, tuple[float, int, int]]:
        below: dict[str, set[str]] = {}
        chain: dict[str, float] = {}

        def visit(name: str) -> None:
            if name in below:
                return
            below[name], longest = set(), 0.0
            for dependent in self._dependents[name]:
                visit(dependent)
                below[name] |= {dependent} | below[dependent]
                longest = max(longest, chain[dependent])
            chain[name] = longest + seconds.get(name, 1.0)

        for job in jobs:
            visit(job.id)
        return {job.id: (-chain[job.id], -len(below[job.id]), i) for i, job in enumerate(jobs)}
