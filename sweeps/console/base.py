"""What every console can be told; by itself this one says nothing before the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from sweeps.console.progress import Snapshot
from sweeps.executors.ledger import Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.jobs import Job


class Console:
    """An observer of an executor with a few more things that a session has to say.

    This one is `console=quiet`: the words of the end alone.
    """

    def __init__(
        self, snapshot: Callable[[Ledger], Snapshot], output: TextIO | None = None
    ) -> None:
        """`snapshot` is asked for by those that show progress."""
        self._snapshot = snapshot
        self._output = output or sys.stdout

    def planned(self, text: str, facts: Mapping[str, Any]) -> None:
        """What is about to be done, for people and for programs."""

    def say(self, text: str) -> None:
        """Something in between that people may like to know."""

    def started(self, job: Job, slot: Slot) -> None:
        """A job was given a slot."""

    def requeued(self, job: Job, reason: str) -> None:
        """A job will be started again."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A job has ended, or turned out to have ended before."""

    def tick(self, ledger: Ledger) -> None:
        """Called several times a second."""

    def close(self) -> None:
        """No more jobs: whatever is live stops. May be called twice."""

    def finished(self, exit_code: int, words: Sequence[str], report: Path | None = None) -> None:
        """The end: table, answer, failures, and where the report is if one was written."""
        self.close()
        print("\n".join(words), file=self._output, flush=True)


class Every:
    """True once every so many seconds."""

    def __init__(self, seconds: float, at_once: bool = False) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + (0.0 if at_once else seconds)

    def due(self) -> bool:
        """Whether it is time again."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + self._seconds
        return True
