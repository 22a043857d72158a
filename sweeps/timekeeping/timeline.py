"""When which job held which slot: one line per attempt, for `efficiency.py`."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeps.executors.ledger import Outcome
from sweeps.executors.resources import Slot
from sweeps.executors.rules import Observer
from sweeps.jobs import Job

BEGIN, HELD, END = "begin", "held", "end"
REQUEUED = "requeued"


def timeline_path(output_dir: Path, sweep: str) -> Path:
    """Where the timeline of a sweep lies; every invocation appends to it."""
    return output_dir / "reports" / sweep / "timeline.jsonl"


class Timeline:
    """An observer that writes down who held a slot and for how long, and passes everything on.

    Times are seconds since 1970, `seconds` by a clock that is never set.
    """

    def __init__(self, path: Path, slots: int, observer: Observer) -> None:
        self._path, self._slots, self._observer = path, slots, observer
        self._held: dict[str, tuple[str, float]] = {}
        self.tick = observer.tick

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """From the first job to the end of the last."""
        began = time.monotonic()
        self._write(BEGIN, slots=self._slots)
        try:
            yield
        finally:
            self._write(END, seconds=time.monotonic() - began)

    def started(self, job: Job, slot: Slot) -> None:
        self._held[job.id] = (slot.where(), time.monotonic())
        self._observer.started(job, slot)

    def requeued(self, job: Job, reason: str) -> None:
        self._release(job, REQUEUED)
        self._observer.requeued(job, reason)

    def ended(self, job: Job, outcome: Outcome) -> None:
        self._release(job, outcome.state)
        self._observer.ended(job, outcome)

    def _release(self, job: Job, state: str) -> None:
        if job.id in self._held:
            slot, since = self._held.pop(job.id)
            seconds = time.monotonic() - since
            self._write(HELD, job=job.id, kind=job.kind, slot=slot, state=state, seconds=seconds)

    def _write(self, event: str, **facts: Any) -> None:
        line = json.dumps({"event": event, "time": time.time(), **facts})
        # A full disk must not end a sweep for the sake of its timeline.
        with contextlib.suppress(OSError), open(self._path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
