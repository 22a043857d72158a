"""The text of a dry run: every run and stage with its state and its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.rundir import read_status
from sweeps import states
from sweeps.jobs import Job
from sweeps.planning.expansion import Plan
from sweeps.planning.selection import Selection
from sweeps.timekeeping.cost import CostModel, in_words
from sweeps.timekeeping.forecast import estimate_remaining

_LEFT = "left alone"
"""Of a run that only=, seeds= or retry= leaves out."""


def preview(
    plan: Plan,
    jobs: Sequence[Job],
    selection: Selection,
    costs: CostModel,
    slots: int,
    output_dir: Path,
) -> str:
    """What the sweep would do now."""
    state = {job.id: _state(job) for job in jobs}
    lines = [f"sweep {plan.sweep}, profile {plan.profile}, output_dir {output_dir}", plan.question]
    lines += ["", *_stage_table(jobs, selection, state, costs), ""]
    lines += _run_table(plan, jobs, selection, state, costs)
    lines += ["", _total(plan, selection, state, costs, slots)]
    return "\n".join(lines)


def _stage_table(
    jobs: Sequence[Job],
    selection: Selection,
    state: Mapping[str, str],
    costs: CostModel,
) -> list[str]:
    wanted = {job.id for job in selection.jobs}
    rows = []
    for job in jobs:
        if not job.is_run:
            skipped = job.id not in wanted and state[job.id] != states.DONE
            shown = "not needed" if skipped else state[job.id]
            rows.append((job.id, shown, _cost(job, costs), ", ".join(job.depends_on)))
    return table_lines(("stage", "state", "cost", "after"), rows)


def _run_table(
    plan: Plan,
    jobs: Sequence[Job],
    selection: Selection,
    state: Mapping[str, str],
    costs: CostModel,
) -> list[str]:
    by_id = {job.id: job for job in jobs}
    left = {job.id for job in selection.left}
    rows, seen = [], set()
    for entry in plan.entries:
        name = entry.run_id
        cost = "shared with a run above" if name in seen else _cost(by_id[name], costs)
        seen.add(name)
        note = _LEFT if name in left else ""
        rows.append((entry.arm, str(entry.seed), name, state[name], cost, note))
    return table_lines(("arm", "seed", "id", "state", "cost", ""), rows)


def _state(job: Job) -> str:
    """The state on disk; of a failure its kind, too: `failed: out-of-memory`."""
    state = states.state_of(job.directory)
    failure = (read_status(job.directory) or {}).get("failure") if state == states.FAILED else None
    return f"{state}: {failure}" if failure else state


def _total(
    plan: Plan, selection: Selection, state: Mapping[str, str], costs: CostModel, slots: int
) -> str:
    open_jobs = [job for job in selection.jobs if state[job.id] != states.DONE]
    seconds = estimate_remaining(open_jobs, costs, slots)
    done = sum(state[run.run_id] == states.DONE for run in plan.runs)
    left = f", {len(selection.left)} left alone" if selection.left else ""
    return (
        f"{len(plan.runs)} runs, {done} done{left}; "
        f"time left with {slots} slot{'s' if slots != 1 else ''}: {in_words(seconds)}"
    )


def _cost(job: Job, costs: CostModel) -> str:
    cost = costs.of(job)
    return f"{in_words(cost.seconds)} ({cost.source})" if cost.seconds is not None else cost.source


def table_lines(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Aligned columns."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)) for row in [header, *rows]]
    return [line.rstrip() for line in lines]
