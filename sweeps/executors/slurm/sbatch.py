"""Hands a submission to Slurm through submitit, which writes the sbatch file and the array."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Collection
from typing import Any

from flow3r.errors import ConfigError
from sweeps.executors.slurm.options import SlurmOptions
from sweeps.executors.slurm.submission import Submission
from sweeps.jobs import REPOSITORY


def submit(
    submission: Submission, options: SlurmOptions, cores: int, after: Collection[int]
) -> int:
    """Submit a task of an array for every task of the submission; returns Slurm's number.

    cores: of one job where the options name no number. after: ids of Slurm jobs that have to end
    first. Raises ConfigError with Slurm's words where it refuses.
    """
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError

    from sweeps.work import Work

    executor = SlurmExecutor(submission.folder, max_num_timeout=submission.work.policy.requeues)
    executor.update_parameters(**parameters(submission, options, cores, after))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            jobs = executor.map_array(Work(submission.folder), range(len(submission.tasks)))
    except FailedJobError as error:
        raise ConfigError(f"Slurm refuses the jobs: {_last_words(error)}") from None
    return int(jobs[0].job_id.partition("_")[0])


def parameters(
    submission: Submission, options: SlurmOptions, cores: int, after: Collection[int]
) -> dict[str, Any]:
    """What submitit is told."""
    cpus = options.cpus or cores
    asked = {
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "mem": options.mem,
        "gpus_per_node": options.gpus,
        # Whatever way the jobs before ended: a job computes what it needs and does not find.
        "dependency": ":".join(["afterany", *map(str, sorted(after))]) if after else None,
    }
    extra = {name: True if value == "true" else value for name, value in options.extra.items()}
    return {
        **{name: value for name, value in asked.items() if value is not None},
        "job_name": submission.name,
        "time": options.time,
        "cpus_per_task": cpus,
        # A step has one core unless srun is told: since 22.05 it no longer takes sbatch's number.
        "srun_args": [f"--cpus-per-task={cpus}"],
        "signal_delay_s": options.notice,
        "array_parallelism": options.parallel or len(submission.tasks),
        "stderr_to_stdout": True,
        "setup": [f"cd {shlex.quote(str(REPOSITORY))}"],
        "additional_parameters": {"requeue": True, **extra},
    }


def _last_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    return " ".join(errors or lines[-1:])
