"""The record of one Slurm array: which jobs its tasks do, and how.

It is written before the array is submitted, under a name that the array carries in Slurm's queue.
So a scheduler that is started again finds its jobs there, whatever moment the last one was killed
at, and a job finds what to do without asking anybody.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.rundir import RunDirectory
from flow3r.errors import DataError
from flow3r.files import read_json, write_json
from sweeps.executors.rules import Policy
from sweeps.executors.slurm.arrays import Task, with_prerequisites
from sweeps.jobs import Job, make_job

FOLDER = "slurm"
"""In the output folder: a folder per submission, with Slurm's own logs."""

_RECORD = "submission.json"


@dataclass(frozen=True)
class Conduct:
    """How the jobs of a submission are done; the same for all of its tasks.

    runtime: settings of the run config. slots: jobs that a task does at the same time; None: as
    many as its cores or GPUs allow. per_gpu: runs that share a GPU; None: as many as fit by their
    measured memory. policy: of failures.
    """

    runtime: Mapping[str, Any]
    slots: int | None
    per_gpu: int | None
    policy: Policy


@dataclass(frozen=True)
class Submission:
    """What `submission.json` holds.

    tasks: ids of the jobs of each task of the array. known: the status of every job, prerequisites
    among them, when it was submitted; a failure that stands there already is tried again.
    """

    folder: Path
    tasks: tuple[tuple[str, ...], ...]
    jobs: Mapping[str, Mapping[str, Any]]
    known: Mapping[str, dict[str, Any] | None]
    work: Conduct

    @property
    def name(self) -> str:
        """What the array is called in Slurm's queue."""
        return self.folder.name

    @property
    def output_dir(self) -> Path:
        """The folder that holds runs/ and stages/."""
        return self.folder.parent.parent

    def jobs_of(self, index: int) -> list[Job]:
        """The jobs of a task, after what they need."""
        by_id = {name: self._job(name) for name in self.jobs}
        return with_prerequisites(tuple(by_id[name] for name in self.tasks[index]), by_id)

    def _job(self, name: str) -> Job:
        entry = self.jobs[name]
        directory = self.output_dir / entry["folder"]
        return make_job(
            name,
            entry["kind"],
            entry["label"],
            directory,
            tuple(entry["depends_on"]),
            RunDirectory(directory).spec()["spec"],
        )


def write_submission(
    output_dir: Path,
    tasks: Sequence[Task],
    by_id: Mapping[str, Job],
    known: Mapping[str, dict[str, Any] | None],
    work: Conduct,
) -> Submission:
    """Record a submission to come, in a new folder."""
    name = f"flow3r-{secrets.token_hex(3)}-{time.strftime('%Y%m%d-%H%M%S')}"
    involved = {job.id: job for task in tasks for job in with_prerequisites(task, by_id)}
    entries = {
        name: {
            "kind": job.kind,
            "label": job.label,
            "folder": str(job.directory.relative_to(output_dir)),
            "depends_on": list(job.depends_on),
        }
        for name, job in involved.items()
    }
    found = Submission(
        output_dir / FOLDER / name,
        tuple(tuple(job.id for job in task) for task in tasks),
        entries,
        {name: known[name] for name in involved},
        work,
    )
    record = {
        "schema": 1,
        "tasks": [list(task) for task in found.tasks],
        "jobs": entries,
        "known": found.known,
        "runtime": dict(work.runtime),
        "slots": work.slots,
        "per_gpu": work.per_gpu,
        "policy": asdict(work.policy),
    }
    write_json(found.folder / _RECORD, record)
    return found


def read_submission(folder: Path) -> Submission:
    """Read a record; DataError where there is none."""
    path = folder / _RECORD
    if not path.exists():
        raise DataError(f"{path} is missing; a submission to Slurm has one")
    record = read_json(path)
    return Submission(
        folder,
        tuple(tuple(task) for task in record["tasks"]),
        record["jobs"],
        record["known"],
        Conduct(record["runtime"], record["slots"], record["per_gpu"], Policy(**record["policy"])),
    )


def find_submission(output_dir: Path, name: str) -> Submission | None:
    """The submission of this name in Slurm's queue; None where it is not of this output folder."""
    folder = output_dir / FOLDER / name
    return read_submission(folder) if (folder / _RECORD).exists() else None
