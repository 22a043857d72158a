"""How much longer: what is left of one job, and when all jobs will have ended."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from experiments.rundir import read_status
from sweeps import states
from sweeps.jobs import Job
from sweeps.timekeeping.cost import Cost, CostModel, progress_of


def remaining_seconds(job: Job, costs: CostModel, elapsed: float | None = None) -> float | None:
    """What is left of a job that may be half done; None where nothing tells.

    elapsed: seconds since its process was started; None for a job that is not in work, which will
    have to start up again.
    """
    status = read_status(job.directory)
    if status is not None and status["state"] == states.DONE:
        return 0.0
    share = progress_of(status)
    trained = float(status["train_seconds"]) if status and status.get("train_seconds") else 0.0
    cost = costs.of(job)
    if cost.seconds is None:
        return trained / share * (1.0 - share) if share and trained else None
    if elapsed is None:
        return cost.seconds - cost.training * share
    return _left_in_work(cost, share, trained, elapsed)


def _left_in_work(cost: Cost, share: float, trained: float, elapsed: float) -> float:
    """Steps tell how fast training is, the more of them the better; the clock tells of the rest:
    starting, evaluating, ending."""
    assert cost.seconds is not None
    training, around = cost.training, cost.seconds - cost.training
    if not training:  # nothing tells the two apart
        training, around, trained = cost.seconds, 0.0, elapsed
    expected = max(0.0, training - trained)
    observed = trained / share * (1.0 - share) if share else 0.0
    left = share * observed + (1.0 - share) * expected
    return left + max(0.0, around - max(0.0, elapsed - trained))


def estimate_remaining(
    jobs: Sequence[Job],
    costs: CostModel,
    slots: int,
    elapsed: Mapping[str, float] | None = None,
) -> float | None:
    """Seconds until all these jobs have ended, started in this order as slots and prerequisites
    allow; None where a cost is unknown. `elapsed`: of the jobs in work, seconds since their start.
    """
    in_work = elapsed or {}
    left: dict[str, float] = {}
    for job in jobs:
        seconds = remaining_seconds(job, costs, in_work.get(job.id))
        if seconds is None:
            return None
        left[job.id] = seconds
    return _schedule(jobs, left, set(in_work), slots)


def _schedule(
    jobs: Sequence[Job], left: Mapping[str, float], in_work: set[str], slots: int
) -> float:
    """When the last job ends if each takes the first free slot once it can start."""
    known = {job.id for job in jobs}
    ends = {name: left[name] for name in in_work & known}
    # Other schedulers may have more in work than there are slots here.
    free = [*ends.values()] + [0.0] * (slots - len(ends))
    heapq.heapify(free)
    waiting = [job for job in jobs if job.id not in ends]
    while waiting:
        slot = heapq.heappop(free)
        job = _next(waiting, slot, ends, known)
        ends[job.id] = max(slot, _ready(job, ends, known)) + left[job.id]
        heapq.heappush(free, ends[job.id])
        waiting.remove(job)
    return max(ends.values(), default=0.0)


def _next(waiting: Sequence[Job], slot: float, ends: Mapping[str, float], known: set[str]) -> Job:
    """The first that can start when the slot is free, else the one that can start first."""
    at_once = (job for job in waiting if _ready(job, ends, known) <= slot)
    return next(at_once, None) or min(waiting, key=lambda job: _ready(job, ends, known))


def _ready(job: Job, ends: Mapping[str, float], known: set[str]) -> float:
    needs = [name for name in job.depends_on if name in known]
    if any(name not in ends for name in needs):
        return float("inf")
    return max((ends[name] for name in needs), default=0.0)
