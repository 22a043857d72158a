"""The runs of a recorded plan, as tracking and drawing see them (no MLflow)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flow3r.files import read_json
from sweeps.jobs import run_label
from sweeps.tracking import pages


def planned_runs(output_dir: Path, sweep: str) -> list[dict[str, Any]]:
    """The runs of a sweep's plan.json, each once, with the facts of its (first) arm.

    Each has `run_id`, `seed`, `depends_on`, all its `arms`, a `label` and a `colour`.
    """
    plan = read_json(output_dir / "reports" / sweep / "plan.json")
    facts = {arm["arm"]: arm for arm in plan["arms"]}
    colours = pages.colours(plan)
    runs: dict[str, dict[str, Any]] = {}
    for entry in plan["runs"]:
        name = entry["run_id"]
        if name in runs:
            runs[name]["arms"].append(entry["arm"])
        else:
            runs[name] = {**facts[entry["arm"]], **entry, "arms": [entry["arm"]]}
    for run in runs.values():
        run["label"] = run_label(run["arms"], run["seed"])
        run["colour"] = colours[run["arms"][0]]
    return list(runs.values())
