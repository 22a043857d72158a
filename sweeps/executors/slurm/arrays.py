"""Which jobs share a Slurm array, and which of them share one task of it (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeps.jobs import Job

LARGEST_ARRAY = 1000
"""Slurm's own default (MaxArraySize=1001) takes no more tasks."""

Task = tuple[Job, ...]


def levels(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs by the longest chain of prerequisites among the given ones: those without come first.

    The order within a level is the given one. Prerequisites stand before what needs them.
    """
    depth: dict[str, int] = {}
    for job in jobs:
        depth[job.id] = 1 + max((depth[d] for d in job.depends_on if d in depth), default=-1)
    return [
        [job for job in jobs if depth[job.id] == level]
        for level in range(max(depth.values(), default=-1) + 1)
    ]


def tasks(jobs: Sequence[Job], runs_per_job: int) -> list[Task]:
    """Each stage by itself, runs in packs of `runs_per_job`."""
    stages = [(job,) for job in jobs if not job.is_run]
    runs = [job for job in jobs if job.is_run]
    packs = [tuple(runs[i : i + runs_per_job]) for i in range(0, len(runs), runs_per_job)]
    return stages + packs


def arrays(jobs: Sequence[Job], runs_per_job: int) -> list[list[Task]]:
    """Arrays in the order of submission: one per level, more where Slurm takes no larger one."""
    found = []
    for level in levels(jobs):
        whole = tasks(level, runs_per_job)
        found += [whole[i : i + LARGEST_ARRAY] for i in range(0, len(whole), LARGEST_ARRAY)]
    return found


def with_prerequisites(task: Task, by_id: Mapping[str, Job]) -> list[Job]:
    """The jobs of a task after everything they need, directly or not; each once."""
    found: dict[str, Job] = {}

    def add(job: Job) -> None:
        for name in job.depends_on:
            add(by_id[name])
        found.setdefault(job.id, job)

    for job in task:
        add(job)
    return list(found.values())
