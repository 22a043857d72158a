"""Finished runs of the same arms and seeds that were made with other settings than planned now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.differences import differences
from experiments.rundir import RunDirectory
from sweeps import states
from sweeps.planning.expansion import Entry, Plan

_SHOWN = 4  # settings named for one group of runs


def superseded_runs(plan: Plan, earlier: Sequence[Entry], output_dir: Path) -> list[str]:
    """Lines that say which runs a sweep is about to make anew, and which settings differ.

    earlier: cells of earlier plans of this folder. Empty where none of their finished runs is in
    the place of an unfinished one.
    """
    now = {(entry.arm, entry.seed): entry.run_id for entry in plan.entries}
    specs = {run.run_id: run.spec for run in plan.runs}
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in earlier:
        planned = now.get((entry.arm, entry.seed))
        if planned is None or planned == entry.run_id or _done(output_dir, planned):
            continue
        if _done(output_dir, entry.run_id):
            old = RunDirectory(output_dir / "runs" / entry.run_id).spec()["spec"]
            groups.setdefault(tuple(differences(old, specs[planned])), []).append(entry)
    return [*_heading(groups), *(_line(*group) for group in groups.items())]


def _heading(groups: dict[tuple[str, ...], list[Entry]]) -> list[str]:
    count = len({entry.run_id for entries in groups.values() for entry in entries})
    if not count:
        return []
    finished = "1 finished run lies" if count == 1 else f"{count} finished runs lie"
    return [
        f"note: {finished} in this folder for arms and seeds of this plan, with other settings; "
        "they are kept, but new ones are planned in their place:"
    ]


def _line(found: tuple[str, ...], entries: list[Entry]) -> str:
    """`  training.clip 1.0 -> 0.5: 3d-sup seeds 0, 1; flow-factored seed 0`."""
    seeds: dict[str, list[int]] = {}
    for entry in entries:
        seeds.setdefault(entry.arm, []).append(entry.seed)
    cells = [
        f"{arm} seed{'s' if len(of_arm) > 1 else ''} {', '.join(map(str, of_arm))}"
        for arm, of_arm in seeds.items()
    ]
    more = f" and {len(found) - _SHOWN} more settings" if len(found) > _SHOWN else ""
    return f"  {', '.join(found[:_SHOWN])}{more}: {'; '.join(cells)}"


def _done(output_dir: Path, run_id: str) -> bool:
    return states.state_of(output_dir / "runs" / run_id) == states.DONE
