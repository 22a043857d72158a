"""What a person sees while a sweep runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from sweeps.cost import in_words
from sweeps.executors.ledger import DONE, FAILED, Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.jobs import Job
from sweeps.progress import Snapshot

if TYPE_CHECKING:
    from rich.console import Group

_SUMMARY_SECONDS = 30.0
_REFRESH_SECONDS = 1.0


class PlainConsole:
    """A line when a job starts or ends, and a summary about every 30 s."""

    def __init__(
        self, snapshot: Callable[[Ledger], Snapshot], output: TextIO | None = None
    ) -> None:
        self._snapshot = snapshot
        self._output = output or sys.stdout
        self._began: dict[str, float] = {}
        self._next = time.monotonic() + _SUMMARY_SECONDS

    def started(self, job: Job, slot: Slot) -> None:
        self._began[job.id] = time.monotonic()
        self.say(f"start  {job.label} ({job.id}) on {slot.where()}")

    def ended(self, job: Job, outcome: Outcome) -> None:
        began = self._began.pop(job.id, None)
        took = "" if began is None else f" after {in_words(time.monotonic() - began)}"
        if began is None and outcome.state == DONE:
            took = " already"
        why = f": {outcome.reason}" if outcome.reason else ""
        self.say(f"{outcome.state:<6} {job.label} ({job.id}){took}{why}")
        if outcome.state == FAILED and began is not None:
            self.say(f"       log: {job.directory / 'log.txt'}")

    def requeued(self, job: Job, reason: str) -> None:
        self.say(f"again  {job.label} ({job.id}): {reason}")

    def tick(self, ledger: Ledger) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SUMMARY_SECONDS
            self.say(self._snapshot(ledger).line(in_words))

    def say(self, text: str) -> None:
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=self._output, flush=True)

    def close(self) -> None:
        """Nothing to tidy up."""


class LiveConsole(PlainConsole):
    """The same lines above a table that shows every job in work."""

    def __init__(self, snapshot: Callable[[Ledger], Snapshot]) -> None:
        super().__init__(snapshot)
        from rich.live import Live

        self._live: Any = Live(auto_refresh=False, transient=True)
        self._live.start()
        self._next = 0.0

    def tick(self, ledger: Ledger) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REFRESH_SECONDS
            self._live.update(_table(self._snapshot(ledger)), refresh=True)

    def say(self, text: str) -> None:
        self._live.console.print(
            f"[{time.strftime('%H:%M:%S')}] {text}", markup=False, highlight=False
        )

    def close(self) -> None:
        self._live.stop()


def make_console(snapshot: Callable[[Ledger], Snapshot], live: bool) -> PlainConsole:
    """The live table where `live`, else plain lines."""
    return LiveConsole(snapshot) if live else PlainConsole(snapshot)


def _table(snapshot: Snapshot) -> Group:
    from rich.console import Group
    from rich.table import Table

    table = Table(box=None)
    for name in ("in work", "stage", "step", "done"):
        table.add_column(name, justify="right" if name in ("step", "done") else "left")
    for running in snapshot.running:
        step = f"{running.step}/{running.total_steps}" if running.total_steps else ""
        table.add_row(running.label, running.stage, step, f"{100 * running.share:.0f} %")
    return Group(snapshot.line(in_words), table)
