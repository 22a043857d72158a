"""The text of a dry run: every run and stage with its state and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweeps import states
from sweeps.cost import CostModel, in_words
from sweeps.jobs import Job, needed_jobs
from sweeps.plan import Plan
from sweeps.progress import estimate_remaining


def preview(plan: Plan, jobs: Sequence[Job], costs: CostModel, slots: int, output_dir: Path) -> str:
    """What the sweep would do now."""
    state = {job.id: states.state_of(job.directory) for job in jobs}
    done = {name for name, value in state.items() if value == states.DONE}
    needed = needed_jobs(jobs, done)
    by_id = {job.id: job for job in jobs}
    lines = [f"sweep {plan.sweep}, profile {plan.profile}, output_dir {output_dir}", plan.question]
    lines += ["", *_stage_table(jobs, needed, state, costs), ""]
    lines += _run_table(plan, by_id, state, costs)
    lines += ["", _total(plan, needed, state, costs, slots)]
    return "\n".join(lines)


def _stage_table(
    jobs: Sequence[Job], needed: Sequence[Job], state: dict[str, str], costs: CostModel
) -> list[str]:
    wanted = {job.id for job in needed}
    rows = []
    for job in jobs:
        if not job.is_run:
            skipped = job.id not in wanted and state[job.id] != states.DONE
            rows.append((job.id, "not needed" if skipped else state[job.id], _cost(job, costs)))
    return table_lines(("stage", "state", "cost"), rows)


def _run_table(
    plan: Plan, by_id: dict[str, Job], state: dict[str, str], costs: CostModel
) -> list[str]:
    rows, seen = [], set()
    for entry in plan.entries:
        job = by_id[entry.run_id]
        cost = "shared with a run above" if entry.run_id in seen else _cost(job, costs)
        seen.add(entry.run_id)
        rows.append((entry.arm, str(entry.seed), entry.run_id, state[entry.run_id], cost))
    return table_lines(("arm", "seed", "id", "state", "cost"), rows)


def _total(
    plan: Plan, needed: Sequence[Job], state: dict[str, str], costs: CostModel, slots: int
) -> str:
    open_jobs = [job for job in needed if state[job.id] != states.DONE]
    left = estimate_remaining(open_jobs, costs, slots)
    done = sum(state[run.run_id] == states.DONE for run in plan.runs)
    return (
        f"{len(plan.runs)} runs, {done} done; "
        f"time left with {slots} slot{'s' if slots != 1 else ''}: {in_words(left)}"
    )


def _cost(job: Job, costs: CostModel) -> str:
    cost = costs.of(job)
    return f"{in_words(cost.seconds)} ({cost.source})" if cost.seconds is not None else cost.source


def table_lines(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Aligned columns."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)) for row in [header, *rows]]
    return [line.rstrip() for line in lines]
