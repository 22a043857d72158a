"""What runs cost: measured on finished runs of the same kind, else the profile's estimate."""

from __future__ import annotations

import json
import statistics
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.rundir import read_status
from flow3r.files import read_json
from sweeps import states
from sweeps.jobs import Job

MEASURED, ESTIMATE, UNKNOWN = "measured", "estimate", "unknown"
SHIPPED = "comes with the code"
_COPYING = 2.0  # seconds that a stage takes whose result only needs to be copied


@dataclass(frozen=True)
class Cost:
    """Seconds for a whole job and where the number comes from; None where nothing is known.

    training: of these, the seconds in which steps are counted; 0 where that is not known.
    """

    seconds: float | None
    source: str
    training: float = 0.0


@dataclass(frozen=True)
class _Sample:
    seconds: float
    training: float


class CostModel:
    """Seconds per job. Finished jobs count if they differ from the asked one in the seed only;
    failing that, runs of the same formulation and the same size of training; failing these, the
    profile's estimate, corrected by how wrong it was for the jobs that this sweep has finished."""

    def __init__(self, estimates: dict[str, float], shipped: Container[str] = ()) -> None:
        """`estimates` of the profile: seconds per kind, or per clip as `<kind>_per_clip`.

        shipped: ids of stages whose results come with the code.
        """
        self._estimates, self._shipped = estimates, shipped
        self._exact: dict[str, list[_Sample]] = {}
        self._similar: dict[str, list[_Sample]] = {}
        self._taken: dict[str, float] = {}
        self._estimated: dict[str, float] = {}

    def add(self, kind: str, spec: dict[str, Any], seconds: float, training: float = 0.0) -> None:
        """Learn from a finished job; `training`: the seconds of it that went into steps."""
        sample = _Sample(seconds, min(training, seconds))
        self._exact.setdefault(_exact_key(kind, spec), []).append(sample)
        self._similar.setdefault(_similar_key(kind, spec), []).append(sample)

    def learn_job(self, job: Job, at_least: float = 0.0) -> None:
        """Learn from a job that this sweep has just ended, if it is done; `at_least`: seconds it
        held a slot."""
        status = read_status(job.directory)
        if not status or not _teaches(job.directory, status):
            return
        seconds = max(at_least, float(status["seconds"]))
        self.add(job.kind, job.spec, seconds, float(status.get("train_seconds") or 0.0))
        estimate = self._estimate(job)
        if estimate:
            self._taken[job.kind] = self._taken.get(job.kind, 0.0) + seconds
            self._estimated[job.kind] = self._estimated.get(job.kind, 0.0) + estimate

    def learn_from(self, output_dir: Path) -> None:
        """Learn from every finished run and stage directory below `output_dir`."""
        for path in sorted(output_dir.glob("*/*/spec.json")):
            status = read_status(path.parent)
            if status and _teaches(path.parent, status):
                record = read_json(path)
                training = float(status.get("train_seconds") or 0.0)
                self.add(record["kind"], record["spec"], float(status["seconds"]), training)

    def of(self, job: Job) -> Cost:
        """The cost of a whole job."""
        for table, key in ((self._exact, _exact_key), (self._similar, _similar_key)):
            samples = table.get(key(job.kind, job.spec))
            if samples:
                return Cost(
                    statistics.median(sample.seconds for sample in samples),
                    MEASURED,
                    statistics.median(sample.training for sample in samples),
                )
        if job.id in self._shipped:
            return Cost(_COPYING, SHIPPED)
        estimate = self._estimate(job)
        if estimate is None:
            return Cost(None, UNKNOWN)
        return Cost(estimate * self._correction(job.kind), ESTIMATE)

    def _estimate(self, job: Job) -> float | None:
        """The profile's."""
        if job.kind in self._estimates:
            return self._estimates[job.kind]
        per_clip, clips = self._estimates.get(f"{job.kind}_per_clip"), job.spec.get("count")
        return None if per_clip is None or clips is None else per_clip * clips

    def _correction(self, kind: str) -> float:
        """How much longer than estimated jobs took, those of the same kind if there are any."""
        if kind in self._taken:
            return self._taken[kind] / self._estimated[kind]
        estimated = sum(self._estimated.values())
        return sum(self._taken.values()) / estimated if estimated else 1.0

    def known(self, jobs: Sequence[Job]) -> dict[str, float]:
        """Seconds per job id, for the jobs whose cost is known."""
        costs = {job.id: self.of(job).seconds for job in jobs}
        return {name: seconds for name, seconds in costs.items() if seconds is not None}


def took_training_over(directory: Path) -> bool:
    """Whether a run only evaluated what another run had trained."""
    path = directory / "provenance.json"
    return path.exists() and "trained_by" in read_json(path)


def progress_of(status: dict[str, Any] | None) -> float:
    """The fraction of the steps that are done, in [0, 1]."""
    if not status or not status.get("total_steps"):
        return 0.0
    return min(1.0, status.get("step", 0) / status["total_steps"])


def in_words(seconds: float | None) -> str:
    """`45 s`, `8 min`, `2 h 05 min`."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _teaches(directory: Path, status: dict[str, Any]) -> bool:
    """Whether a job is finished and did all of its work itself."""
    done = status["state"] == states.DONE and bool(status.get("seconds"))
    return done and not took_training_over(directory)


def _exact_key(kind: str, spec: dict[str, Any]) -> str:
    rest = {key: value for key, value in spec.items() if key != "seed"}
    return json.dumps([kind, rest], sort_keys=True, default=str)


def _similar_key(kind: str, spec: dict[str, Any]) -> str:
    # Stages have no formulation: they are alike only if they are equal.
    names = ("formulation", "model", "training", "batch") if kind == "run" else tuple(spec)
    same = {name: spec.get(name) for name in names}
    return json.dumps([kind, same], sort_keys=True, default=str)
