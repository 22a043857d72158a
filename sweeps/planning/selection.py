"""Which runs of a plan an invocation looks at: `seeds=`, `only=` and `retry=` (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import fnmatchcase

from flow3r.errors import ConfigError
from sweeps.jobs import Job, needed_jobs
from sweeps.planning.expansion import Entry, Plan
from sweeps.states import DONE, FAILED

_RUN_ID = re.compile(r"[0-9a-f]{6,}")


def chosen_runs(plan: Plan, only: Sequence[str]) -> frozenset[str]:
    """Ids of the runs that the command asks for: of its seeds, and of `only` where that is given.

    A word of `only` is an arm, a pattern of arms (`3d-*`), a run id or six or more of its first
    digits. ConfigError for a word that no run answers to.
    """
    kept = set(plan.kept)
    asked = [entry for entry in plan.entries if entry not in kept]
    if not only:
        return frozenset(entry.run_id for entry in asked)
    found: set[str] = set()
    for word in only:
        ids = {entry.run_id for entry in asked if _answers(entry, word)}
        if not ids:
            raise ConfigError(
                f"only={word!r} matches no run of sweep {plan.sweep!r}; choose among the arms "
                f"{[arm.name for arm in plan.arms]}, patterns of them, or ids of runs"
            )
        found |= ids
    return frozenset(found)


@dataclass(frozen=True)
class Selection:
    """What an invocation looks at.

    jobs: unfinished runs and the stages that they need, in the order of the plan.
    left: unfinished runs of the plan that are not looked at. failed: those of them that the command
    asks for, and that `retry=none` leaves as they are.
    """

    jobs: tuple[Job, ...]
    left: tuple[Job, ...]
    failed: tuple[Job, ...]


def select(
    jobs: Sequence[Job], state: Mapping[str, str], chosen: AbstractSet[str], retry: str
) -> Selection:
    """Select among the jobs of a plan.

    state: of every job, as in `sweeps.states`. chosen: ids of runs. retry: "all" takes every
    unfinished run of them, "failed" those that failed before, "none" the others; the last leaves
    alone what needs a failed stage.
    """
    failed = {job.id for job in jobs if state[job.id] == FAILED}
    blocked = {job.id for job in jobs if failed.intersection((job.id, *job.depends_on))}
    unfinished = {job.id for job in jobs if job.is_run and state[job.id] != DONE}
    wanted = unfinished & chosen
    if retry == "failed":
        wanted &= failed
    elif retry == "none":
        wanted -= blocked
    others = {job.id for job in jobs if job.is_run} - wanted
    return Selection(
        jobs=tuple(needed_jobs(jobs, others)),
        left=tuple(job for job in jobs if job.id in unfinished - wanted),
        failed=tuple(job for job in jobs if job.id in (unfinished - wanted) & chosen & blocked),
    )


def _answers(entry: Entry, word: str) -> bool:
    by_arm = word == entry.arm or fnmatchcase(entry.arm, word)
    return by_arm or bool(_RUN_ID.fullmatch(word) and entry.run_id.startswith(word))
