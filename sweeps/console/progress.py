"""Where a sweep stands: counts, what runs now, and an honest guess at the time left (no output)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from experiments.rundir import read_status
from sweeps.console.latest import latest_value
from sweeps.executors.ledger import ACTIVE, DONE, ELSEWHERE, FAILED, INTERRUPTED, Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.executors.rules import Observer
from sweeps.jobs import Job, arm_and_seed
from sweeps.timekeeping.cost import CostModel, in_words
from sweeps.timekeeping.forecast import estimate_remaining, remaining_seconds

LOSS = "train/loss"


@dataclass(frozen=True)
class InWork:
    """Where a job runs, and since when (`time.monotonic`)."""

    where: str
    since: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since


class Watch:
    """An observer that remembers in `work` what runs where, teaches `costs` what finished jobs
    took, and passes everything on."""

    def __init__(self, observer: Observer, costs: CostModel, work: dict[str, InWork]) -> None:
        self._observer, self._costs, self._work = observer, costs, work
        self.tick = observer.tick

    def started(self, job: Job, slot: Slot) -> None:
        self._work[job.id] = InWork(slot.where(), time.monotonic())
        self._observer.started(job, slot)

    def requeued(self, job: Job, reason: str) -> None:
        self._work.pop(job.id, None)
        self._observer.requeued(job, reason)

    def ended(self, job: Job, outcome: Outcome) -> None:
        worked = self._work.pop(job.id, None)
        if worked is not None:
            # A slot is also taken while the process starts up, which no status file can know.
            self._costs.learn_job(job, at_least=worked.seconds)
        self._observer.ended(job, outcome)


@dataclass(frozen=True)
class Running:
    """A job in work. `loss` is as it was last recorded, `eta` in seconds; None: not known yet."""

    id: str
    kind: str
    arm: str
    seed: int | None
    stage: str
    step: int
    total_steps: int
    loss: float | None
    eta: float | None
    where: str


@dataclass(frozen=True)
class Snapshot:
    """A sweep at one moment; `eta` is None while nothing tells how long a run takes."""

    runs: int
    done: int
    failed: int
    waiting: int
    running: tuple[Running, ...]
    eta: float | None

    @property
    def elsewhere(self) -> int:
        """How many jobs other schedulers have in work."""
        return sum(job.where == ELSEWHERE for job in self.running)

    def line(self) -> str:
        """`12/30 runs done, 2 running, 1 elsewhere, 15 waiting, 0 failed, ETA 8 min`."""
        counts = [f"{self.done}/{self.runs} runs done"]
        counts.append(f"{len(self.running) - self.elsewhere} running")
        if self.elsewhere:
            counts.append(f"{self.elsewhere} {ELSEWHERE}")
        counts += [f"{self.waiting} waiting", f"{self.failed} failed"]
        return ", ".join([*counts, f"ETA {in_words(self.eta)}"])


def take_snapshot(
    all_runs: Sequence[Job],
    ledger: Ledger,
    costs: CostModel,
    slots: int,
    work: Mapping[str, InWork] | None = None,
) -> Snapshot:
    """Look at the ledger and at the files of what is not finished; `work`: see `Watch`.

    Stages count as running while they are in work; those that are done or wait are not counted.
    """
    in_ledger = [job for job in all_runs if job.id in ledger.jobs]
    ends = (DONE, FAILED, INTERRUPTED)
    count = {end: sum(ledger.state(job.id) == end for job in in_ledger) for end in ends}
    open_jobs = [j for j in ledger.by_urgency() if ledger.state(j.id) not in ends]
    active = [job for job in open_jobs if ledger.state(job.id) in (ACTIVE, ELSEWHERE)]
    elapsed, where = _in_work(active, ledger, work or {})
    waiting = sum(job.is_run for job in open_jobs) - sum(job.is_run for job in active)
    return Snapshot(
        runs=len(all_runs),
        done=count[DONE] + len(all_runs) - len(in_ledger),
        failed=count[FAILED],
        waiting=waiting,
        running=tuple(
            _running(job, where[job.id], remaining_seconds(job, costs, elapsed[job.id]))
            for job in active
        ),
        eta=estimate_remaining(open_jobs, costs, slots, elapsed),
    )


def _in_work(
    active: Sequence[Job], ledger: Ledger, work: Mapping[str, InWork]
) -> tuple[dict[str, float], dict[str, str]]:
    """Per job the seconds since it was started and where it runs."""
    elapsed, where = {}, {}
    for job in active:
        if job.id in work and ledger.state(job.id) == ACTIVE:
            elapsed[job.id], where[job.id] = work[job.id].seconds, work[job.id].where
        else:
            elapsed[job.id], where[job.id] = _seconds_by_status(job), ELSEWHERE
    return elapsed, where


def _seconds_by_status(job: Job) -> float:
    """How long another scheduler has had a job, by what it has written so far."""
    status = read_status(job.directory)
    if status is None:
        return 0.0
    began = status["started"] if status["attempts"] == 1 else status["updated"]
    age = datetime.now(UTC) - datetime.fromisoformat(began)
    return max(float(status["train_seconds"]), age.total_seconds())


def _running(job: Job, where: str, eta: float | None) -> Running:
    status: dict[str, Any] = read_status(job.directory) or {}
    arm, seed = arm_and_seed(job)
    return Running(
        id=job.id,
        kind=job.kind,
        arm=arm,
        seed=seed,
        stage=status.get("stage") or "start",
        step=status.get("step", 0),
        total_steps=status.get("total_steps", 0),
        loss=latest_value(job.directory / "metrics.jsonl", LOSS),
        eta=eta,
        where=where,
    )
