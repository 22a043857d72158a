"""What runs cost: measured on finished runs of the same kind, else the profile's estimate."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.rundir import read_status
from flow3r.files import read_json
from sweeps import states
from sweeps.jobs import Job

MEASURED, ESTIMATE, UNKNOWN = "measured", "estimate", "unknown"


@dataclass(frozen=True)
class Cost:
    """Seconds for a whole job and where the number comes from; None where nothing is known."""

    seconds: float | None
    source: str


class CostModel:
    """Seconds per job. Finished jobs count if they differ from the asked one in the seed only;
    failing that, runs of the same formulation and the same size of training."""

    def __init__(self, estimates: dict[str, float]) -> None:
        """`estimates` of the profile: seconds per kind, or per clip as `<kind>_per_clip`."""
        self._estimates = estimates
        self._exact: dict[str, list[float]] = {}
        self._similar: dict[str, list[float]] = {}

    def add(self, kind: str, spec: dict[str, Any], seconds: float) -> None:
        """Learn from a finished job."""
        self._exact.setdefault(_exact_key(kind, spec), []).append(seconds)
        self._similar.setdefault(_similar_key(kind, spec), []).append(seconds)

    def learn_job(self, job: Job, at_least: float = 0.0) -> None:
        """Learn from a job of this sweep, if it is done; `at_least`: seconds it held a slot."""
        status = read_status(job.directory)
        if status is not None and status["state"] == states.DONE and status.get("seconds"):
            self.add(job.kind, job.spec, max(at_least, float(status["seconds"])))

    def learn_from(self, output_dir: Path) -> None:
        """Learn from every finished run and stage directory below `output_dir`."""
        for path in sorted(output_dir.glob("*/*/spec.json")):
            status = read_status(path.parent)
            if status is not None and status["state"] == states.DONE and status.get("seconds"):
                record = read_json(path)
                self.add(record["kind"], record["spec"], float(status["seconds"]))

    def of(self, job: Job) -> Cost:
        """The cost of a whole job."""
        for table, key in ((self._exact, _exact_key), (self._similar, _similar_key)):
            seconds = table.get(key(job.kind, job.spec))
            if seconds:
                return Cost(statistics.median(seconds), MEASURED)
        if job.kind in self._estimates:
            return Cost(self._estimates[job.kind], ESTIMATE)
        per_clip, clips = self._estimates.get(f"{job.kind}_per_clip"), job.spec.get("count")
        if per_clip is not None and clips is not None:
            return Cost(per_clip * clips, ESTIMATE)
        return Cost(None, UNKNOWN)

    def known(self, jobs: Sequence[Job]) -> dict[str, float]:
        """Seconds per job id, for the jobs whose cost is known."""
        costs = {job.id: self.of(job).seconds for job in jobs}
        return {name: seconds for name, seconds in costs.items() if seconds is not None}


def remaining_seconds(job: Job, costs: CostModel) -> float | None:
    """What is left of a job that may be half done; None where its cost is unknown."""
    status = read_status(job.directory)
    if status is not None and status["state"] == states.DONE:
        return 0.0
    total = costs.of(job).seconds
    done = progress_of(status)
    if total is None and done and status and status.get("train_seconds"):
        total = float(status["train_seconds"]) / done
    return None if total is None else total * (1.0 - done)


def progress_of(status: dict[str, Any] | None) -> float:
    """The fraction of the steps that are done, in [0, 1]."""
    if not status or not status.get("total_steps"):
        return 0.0
    return min(1.0, status.get("step", 0) / status["total_steps"])


def makespan(seconds: list[float], slots: int) -> float:
    """Wall time of independent jobs on slots: the work shared out, no less than the longest job."""
    return max([sum(seconds) / max(1, slots), *seconds])


def in_words(seconds: float | None) -> str:
    """`45 s`, `8 min`, `2 h 05 min`."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _exact_key(kind: str, spec: dict[str, Any]) -> str:
    rest = {key: value for key, value in spec.items() if key != "seed"}
    return json.dumps([kind, rest], sort_keys=True, default=str)


def _similar_key(kind: str, spec: dict[str, Any]) -> str:
    # Stages have no formulation: they are alike only if they are equal.
    names = ("formulation", "model", "training", "batch") if kind == "run" else tuple(spec)
    same = {name: spec.get(name) for name in names}
    return json.dumps([kind, same], sort_keys=True, default=str)
