"""`console=json`: one JSON object per event and line, and nothing else on stdout.

Every object has `event` and `time` (seconds since 1970):

  plan      what the session is about to do
  note      something in between, for people: `text`
  started   `id`, `kind`, `arm`, `seed`, `slot`
  progress  about every 10 s: counts, `eta_seconds`, and the `jobs` in work
  requeued  `id`, `kind`, `arm`, `seed`, `reason`: it will be started again
  ended     `id`, `kind`, `arm`, `seed`, `state`, `failure`, `reason`, `seconds` in the slot (null
            for a job that had ended before)
  finished  `exit_code`, `report` (its path, or null), `words`: what people are told at the end
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from sweeps.console.base import Console, Every
from sweeps.console.progress import Running, Snapshot
from sweeps.executors.ledger import Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.jobs import Job, arm_and_seed

_PROGRESS_SECONDS = 10.0


class JsonConsole(Console):
    """For programs."""

    def __init__(
        self, snapshot: Callable[[Ledger], Snapshot], output: TextIO | None = None
    ) -> None:
        super().__init__(snapshot, output)
        self._began: dict[str, float] = {}
        self._progress = Every(_PROGRESS_SECONDS)

    def planned(self, text: str, facts: Mapping[str, Any]) -> None:
        self._emit("plan", text=text, **facts)

    def say(self, text: str) -> None:
        self._emit("note", text=text)

    def started(self, job: Job, slot: Slot) -> None:
        self._began[job.id] = time.monotonic()
        self._emit("started", **_names(job), slot=slot.where())

    def requeued(self, job: Job, reason: str) -> None:
        self._began.pop(job.id, None)
        self._emit("requeued", **_names(job), reason=reason)

    def ended(self, job: Job, outcome: Outcome) -> None:
        began = self._began.pop(job.id, None)
        seconds = None if began is None else round(time.monotonic() - began, 1)
        self._emit("ended", **_names(job), **asdict(outcome), seconds=seconds)

    def tick(self, ledger: Ledger) -> None:
        if not self._progress.due():
            return
        now = self._snapshot(ledger)
        self._emit(
            "progress",
            runs=now.runs,
            done=now.done,
            failed=now.failed,
            running=len(now.running) - now.elsewhere,
            elsewhere=now.elsewhere,
            waiting=now.waiting,
            eta_seconds=_rounded(now.eta),
            jobs=[_row(job) for job in now.running],
        )

    def finished(self, exit_code: int, words: Sequence[str], report: Path | None = None) -> None:
        path = None if report is None else str(report)
        self._emit("finished", exit_code=exit_code, report=path, words=list(words))

    def _emit(self, event: str, **facts: Any) -> None:
        line = {"event": event, "time": round(time.time(), 3), **facts}
        print(json.dumps(line, allow_nan=False), file=self._output, flush=True)


def _names(job: Job) -> dict[str, Any]:
    arm, seed = arm_and_seed(job)
    return {"id": job.id, "kind": job.kind, "arm": arm, "seed": seed}


def _row(job: Running) -> dict[str, Any]:
    row = asdict(job)
    loss = row["loss"]
    row["loss"] = loss if loss is None or math.isfinite(loss) else str(loss)
    return {**row, "eta_seconds": _rounded(row.pop("eta")), "slot": row.pop("where")}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
