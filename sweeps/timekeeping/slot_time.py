"""The account of a sweep's slot time; the terms are those of `efficiency.py --help`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.rundir import read_status
from flow3r.errors import ConfigError
from sweeps.timekeeping.cost import in_words, took_training_over
from sweeps.timekeeping.timeline import BEGIN, END, HELD, timeline_path

LONG_SECONDS = 60.0
"""Runs that train for so long are named apart: overhead weighs little in them."""


def account(output_dir: Path, sweep: str) -> dict[str, Any]:
    """Where the slot time of a sweep went, in seconds and shares; ConfigError if it has none."""
    events = read_timeline(output_dir, sweep)
    held = [event for event in events if event["event"] == HELD]
    in_slots: dict[str, float] = {}
    for event in held:
        if event["kind"] == "run":
            in_slots[event["job"]] = in_slots.get(event["job"], 0.0) + event["seconds"]
    runs = [_run(output_dir, name, seconds) for name, seconds in in_slots.items()]
    total = sum(slots * seconds for slots, seconds in _invocations(events))
    parts = {
        name: sum(run[name] for run in runs) for name in ("training", "evaluation", "overhead")
    }
    parts["stages"] = sum(event["seconds"] for event in held if event["kind"] != "run")
    parts["idle"] = total - sum(parts.values())
    work = parts["training"] + parts["evaluation"] + parts["stages"]
    return {
        "sweep": sweep,
        "runs": len(runs),
        "wall_seconds": sum(seconds for _, seconds in _invocations(events)),
        "slot_seconds": total,
        "seconds": parts,
        "efficiency": parts["training"] / total if total else None,
        "work": work / total if total else None,
        "run_efficiency": _shares(runs),
        "long_run_efficiency": _shares([run for run in runs if run["training"] >= LONG_SECONDS]),
        "overhead_per_run": _spread([run["overhead"] for run in runs]),
    }


def read_timeline(output_dir: Path, sweep: str) -> list[dict[str, Any]]:
    """The events of a sweep's timeline; ConfigError where there is none."""
    path = timeline_path(output_dir, sweep)
    if not path.exists():
        raise ConfigError(f"{path} is missing: sweep={sweep} has no timeline in {output_dir}")
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # the last may be cut by a kill
    return [json.loads(line) for line in lines]


def in_text(found: dict[str, Any]) -> str:
    """For people."""
    head = f"sweep {found['sweep']}: {found['runs']} runs, wall time "
    lines = [head + in_words(found["wall_seconds"])]
    total = found["slot_seconds"]
    for name, seconds in found["seconds"].items():
        lines.append(
            f"  {name:<11}{seconds:9.1f} s  {_percent(seconds / total if total else None)}"
        )
    lines.append(f"  {'slot time':<11}{total:9.1f} s")
    lines.append(f"efficiency (training / slot time) {_percent(found['efficiency'])}")
    lines.append(f"work (with evaluation and stages) {_percent(found['work'])}")
    for name, words in (("run_efficiency", "runs"), ("long_run_efficiency", "runs of a minute")):
        lines.append(f"work within the slots of {words}: {_percent(found[name])}")
    overhead = found["overhead_per_run"]
    if overhead:
        lines.append(
            "overhead of a run: {median:.2f} s ({least:.2f} to {most:.2f})".format(**overhead)
        )
    return "\n".join(lines)


def _run(output_dir: Path, name: str, in_slot: float) -> dict[str, float]:
    directory = output_dir / "runs" / name
    status = read_status(directory) or {}
    adopted = took_training_over(directory)
    training = 0.0 if adopted else float(status.get("train_seconds", 0.0))
    evaluation = sum(float(status.get(f"{part}_seconds", 0.0)) for part in ("validate", "evaluate"))
    overhead = in_slot - training - evaluation
    return {"training": training, "evaluation": evaluation, "overhead": overhead, "slot": in_slot}


def _invocations(events: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """Slots and wall seconds of each; one that was killed ends with its last line."""
    found: list[tuple[int, float]] = []
    began = slots = last = None
    for event in events:
        if event["event"] == BEGIN:
            if began is not None:
                found.append((slots, last - began))
            began, slots = event["time"], event["slots"]
        elif event["event"] == END and began is not None:
            found.append((slots, event["seconds"]))
            began = None
        last = event["time"]
    if began is not None:
        found.append((slots, last - began))
    return found


def _shares(runs: Sequence[dict[str, float]]) -> float | None:
    held = sum(run["slot"] for run in runs)
    return sum(run["training"] + run["evaluation"] for run in runs) / held if held else None


def _spread(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    return {"median": statistics.median(seconds), "least": min(seconds), "most": max(seconds)}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:5.1f} %"
