"""The jobs of a plan: one child process each, with a directory, a command and prerequisites."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.planning.expansion import Plan

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Job:
    """One child process to be; `spec` goes into spec.json."""

    id: str
    kind: str
    label: str
    directory: Path
    command: tuple[str, ...]
    depends_on: tuple[str, ...]
    spec: dict[str, Any]

    @property
    def is_run(self) -> bool:
        return self.kind == "run"


def plan_jobs(plan: Plan, output_dir: Path) -> list[Job]:
    """All stages and runs of a plan, prerequisites before what needs them."""
    stages = [
        make_job(
            stage.name,
            stage.kind,
            f"stage {stage.name}",
            output_dir / "stages" / stage.name,
            stage.depends_on,
            stage.spec,
        )
        for stage in plan.stages
    ]
    runs = [
        make_job(
            run.run_id,
            "run",
            run_label(run.arms, run.seed),
            output_dir / "runs" / run.run_id,
            run.depends_on,
            run.spec,
        )
        for run in plan.runs
    ]
    return stages + runs


def run_label(arms: Sequence[str], seed: int) -> str:
    """What people read for a run: `flow-factored seed 0`; all its arms where several share it."""
    return f"{'/'.join(arms)} seed {seed}"


def arm_and_seed(job: Job) -> tuple[str, int | None]:
    """What a run's label is made of; the kind of a stage, which has no seed."""
    if not job.is_run:
        return job.kind, None
    seed = job.spec.get("seed")
    return job.label.removesuffix(f" seed {seed}"), seed


def needed_jobs(jobs: Sequence[Job], finished: set[str]) -> list[Job]:
    """The jobs to look at: unfinished runs and what they need, in the given order.

    Stages that only finished runs used are left alone, so their folders may be deleted.
    """
    by_id = {job.id: job for job in jobs}
    keep: set[str] = set()
    queue = [job.id for job in jobs if job.is_run and job.id not in finished]
    while queue:
        name = queue.pop()
        if name not in keep:
            keep.add(name)
            queue.extend(by_id[name].depends_on)
    return [job for job in jobs if job.id in keep]


def make_job(
    name: str,
    kind: str,
    label: str,
    directory: Path,
    depends_on: tuple[str, ...],
    spec: dict[str, Any],
) -> Job:
    """A job with the command for its kind; `label` is for people."""
    command = (sys.executable, str(_script(kind)), f"spec={directory / 'spec.json'}")
    return Job(name, kind, label, directory, command, depends_on, spec)


def _script(kind: str) -> Path:
    return REPOSITORY / "experiments" / ("train.py" if kind == "run" else "stage.py")
