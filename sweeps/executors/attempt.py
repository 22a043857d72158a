"""One attempt at a job: its child, what it is watched for, and why it ended."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import Any

from experiments import failure
from experiments.rundir import read_status
from sweeps import states
from sweeps.executors.child import Child, last_line
from sweeps.executors.claims import Claim
from sweeps.executors.memory_kills import memory_kills
from sweeps.executors.resources import Slot
from sweeps.jobs import Job


@dataclass(frozen=True)
class End:
    """Why an attempt did not end well; `failure` is a name of `experiments.failure`."""

    failure: str
    reason: str


@dataclass
class Attempt:
    """A child at work. `before`: the status that it found."""

    job: Job
    child: Child
    slot: Slot
    claim: Claim
    before: dict[str, Any] | None
    began: float = field(default_factory=time.monotonic)
    condemned: End | None = None
    """Why it was told to end, where the scheduler decided so."""

    def __post_init__(self) -> None:
        self._kills = memory_kills()
        self._sign, self._seen = self._sign_of_life(), self.began

    def seconds(self) -> float:
        """How long it has been at work."""
        return time.monotonic() - self.began

    def silent_seconds(self) -> float:
        """How long its status has not changed, by the clock of this machine."""
        sign = self._sign_of_life()
        if sign != self._sign:
            self._sign, self._seen = sign, time.monotonic()
        return time.monotonic() - self._seen

    def condemn(self, name: str, reason: str) -> None:
        """Remember why it is about to be ended; the first reason counts."""
        self.condemned = self.condemned or End(name, reason)

    def end(self, code: int) -> End:
        """Why it ended with this exit code (negative: the signal), unless it ended well."""
        if self.condemned is not None:
            return self.condemned
        if code < 0:
            return self._killed(code)
        status = read_status(self.job.directory) or {}
        if status != self.before and status.get("state") == states.FAILED and status.get("reason"):
            name = status.get("failure") or failure.failure_of(status["reason"])
            return End(name, str(status["reason"]))
        if code == 0:
            found = status.get("state", states.PENDING)
            return End(failure.EXIT, f"exit code 0, but its status is {found!r}")
        words = last_line(self.job.directory / "log.txt")
        return End(failure.failure_of(words), f"exit code {code}: {words}")

    def _killed(self, code: int) -> End:
        reason = f"killed by {signal.Signals(-code).name}"
        if code != -signal.SIGKILL:
            return End(failure.KILLED, reason)
        before, after = self._kills, memory_kills()
        if before is not None and after is not None and after > before:
            return End(failure.OUT_OF_MEMORY, f"{reason}: out of memory, as the kernel counts")
        return End(failure.KILLED, f"{reason} (out of memory?)")

    def _sign_of_life(self) -> object:
        path = self.job.directory / "status.json"
        return path.stat().st_mtime_ns if path.exists() else None
