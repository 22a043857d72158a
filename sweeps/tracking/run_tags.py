"""What the records of a run say in MLflow's tags: what it is, where it comes from, how it fares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PROVENANCE = ("git_dirty", "python", "device", "host", "peak_memory_bytes", "train_flops")
_STATUS = ("reason", "failure", "attempts", "stage", "train_seconds", "seconds")


def planned_tags(sweep: str, run: Mapping[str, Any]) -> dict[str, str]:
    """From the plan; `run` as `planned_runs` gives it."""
    return {
        "sweep": sweep,
        "arm": ", ".join(run["arms"]),
        "formulation": run["formulation"],
        "seed": str(run["seed"]),
        "unlabelled_clips": str(run["unlabelled_clips"]),
        "labelled_clips": str(run["labelled_clips"]),
        "run_id": run["run_id"],
        "mlflow.source.name": "experiments/train.py",
        "mlflow.source.type": "LOCAL",
    }


def status_tags(status: Mapping[str, Any], state: str) -> dict[str, str]:
    """From status.json; `state` as it is on disk now."""
    tags = {"state": state}
    for name in _STATUS:
        value = status.get(name)
        if value is not None:
            tags[name] = f"{value:.1f}" if isinstance(value, float) else str(value)
    if status.get("history"):
        tags["history"] = "; ".join(attempts(status))
    return tags


def attempts(status: Mapping[str, Any]) -> list[str]:
    """A line for each earlier attempt: how it ended and why."""
    return [
        f"attempt {end['attempt']}: {end.get('failure') or end['state']}"
        f" ({end.get('reason') or 'no reason given'}), {end['time'][:16].replace('T', ' ')}"
        for end in status.get("history") or ()
    ]


def provenance_tags(provenance: Mapping[str, Any]) -> dict[str, str]:
    """From provenance.json."""
    if not provenance:
        return {}
    commit = str(provenance.get("git_commit"))
    tags = {"git_commit": commit, "mlflow.source.git.commit": commit}
    tags |= {
        name: str(provenance[name]) for name in _PROVENANCE if provenance.get(name) is not None
    }
    counts = provenance.get("parameters") or {}
    return tags | {f"parameters.{part}": str(count) for part, count in counts.items()}
