"""Where a sweep stands: counts, what runs now, and an honest guess at the time left (no output)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.rundir import read_status
from sweeps.cost import CostModel, makespan, progress_of, remaining_seconds
from sweeps.executors.ledger import ACTIVE, DONE, ELSEWHERE, FAILED, Ledger
from sweeps.jobs import Job


@dataclass(frozen=True)
class Running:
    """A job in work: its label, stage of training and share of steps done."""

    label: str
    stage: str
    step: int
    total_steps: int
    share: float


@dataclass(frozen=True)
class Snapshot:
    """A sweep at one moment; `eta` is None while nothing tells how long a run takes."""

    runs: int
    done: int
    failed: int
    running: tuple[Running, ...]
    eta: float | None

    def line(self, in_words) -> str:
        """`12/30 runs done, 2 running, 0 failed, ETA 8 min`."""
        counts = f"{self.done}/{self.runs} runs done, {len(self.running)} running"
        return f"{counts}, {self.failed} failed, ETA {in_words(self.eta)}"


def take_snapshot(
    all_runs: Sequence[Job], ledger: Ledger, costs: CostModel, slots: int
) -> Snapshot:
    """Look at the ledger and at the status files of what is not finished."""
    in_ledger = [job for job in all_runs if job.id in ledger.jobs]
    count = {s: sum(ledger.state(j.id) == s for j in in_ledger) for s in (DONE, FAILED)}
    open_jobs = [
        job for name, job in ledger.jobs.items() if ledger.state(name) not in (DONE, FAILED)
    ]
    running = [j for j in open_jobs if ledger.state(j.id) in (ACTIVE, ELSEWHERE)]
    return Snapshot(
        runs=len(all_runs),
        done=count[DONE] + len(all_runs) - len(in_ledger),
        failed=count[FAILED],
        running=tuple(_running(job) for job in running),
        eta=estimate_remaining(open_jobs, costs, slots),
    )


def _running(job: Job) -> Running:
    status = read_status(job.directory) or {}
    return Running(
        label=job.label,
        stage=status.get("stage") or "",
        step=status.get("step", 0),
        total_steps=status.get("total_steps", 0),
        share=progress_of(status),
    )


def estimate_remaining(open_jobs: Sequence[Job], costs: CostModel, slots: int) -> float | None:
    """Seconds until all these jobs (prerequisites first) are done; None where a cost is unknown."""
    left = {job.id: remaining_seconds(job, costs) for job in open_jobs}
    if any(seconds is None for seconds in left.values()):
        return None
    known = {name: seconds or 0.0 for name, seconds in left.items()}
    chain: dict[str, float] = {}
    for job in open_jobs:
        before = max((chain.get(d, 0.0) for d in job.depends_on), default=0.0)
        chain[job.id] = before + known[job.id]
    seconds = [known[job.id] for job in open_jobs]
    return max(makespan(seconds, slots), max(chain.values(), default=0.0))
