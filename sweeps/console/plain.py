"""A line when a job starts or ends, and a summary about every 30 s."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from sweeps.console.base import Console, Every
from sweeps.console.progress import Snapshot
from sweeps.executors.ledger import DONE, FAILED, Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.jobs import Job
from sweeps.timekeeping.cost import in_words

_SUMMARY_SECONDS = 30.0


class PlainConsole(Console):
    """For logs, and for whatever is no terminal."""

    def __init__(
        self, snapshot: Callable[[Ledger], Snapshot], output: TextIO | None = None
    ) -> None:
        super().__init__(snapshot, output)
        self._began: dict[str, float] = {}
        self._summary = Every(_SUMMARY_SECONDS)

    def planned(self, text: str, facts: Mapping[str, Any]) -> None:
        self.say(text)

    def started(self, job: Job, slot: Slot) -> None:
        self._began[job.id] = time.monotonic()
        self.say(f"start  {job.label} ({job.id}) on {slot.where()}")

    def requeued(self, job: Job, reason: str) -> None:
        self.say(f"again  {job.label} ({job.id}): {reason}")

    def ended(self, job: Job, outcome: Outcome) -> None:
        began = self._began.pop(job.id, None)
        if began is None and outcome.state == DONE and not job.is_run:
            return  # a stage that was there before: a sweep has many, and nothing was done
        took = "" if began is None else f" after {in_words(time.monotonic() - began)}"
        if began is None and outcome.state == DONE:
            took = " already"
        why = f": {outcome.reason}" if outcome.reason else ""
        self.say(f"{outcome.state:<6} {job.label} ({job.id}){took}{why}")
        if outcome.state == FAILED and began is not None:
            self.say(f"       log: {job.directory / 'log.txt'}")

    def tick(self, ledger: Ledger) -> None:
        if self._summary.due():
            self.say(self._snapshot(ledger).line())

    def say(self, text: str) -> None:
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=self._output, flush=True)
