"""From the words of the command line to the Slurm executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.executors.resources import Slot
from sweeps.executors.rules import Observer, Policy
from sweeps.executors.slurm.executor import SlurmExecutor
from sweeps.executors.slurm.options import SlurmOptions
from sweeps.executors.slurm.queue import check_programs
from sweeps.executors.slurm.submission import Conduct
from sweeps.jobs import Job
from sweeps.options import Options


def slurm_executor(
    options: Options,
    runtime: Mapping[str, Any],
    jobs: Sequence[Job],
    observer: Observer,
    policy: Policy,
    seconds: Mapping[str, float],
) -> SlurmExecutor:
    """The executor of `launcher=slurm`; ConfigError where Slurm is not at hand."""
    slurm = SlurmOptions.parse(options.slurm)
    check_programs()
    return SlurmExecutor(
        jobs,
        options.output_dir,
        slurm,
        _places_of_a_job(options, slurm, runtime) * _cores_of_a_run(runtime),
        Conduct(runtime, options.slots, options.per_gpu, policy),
        observer,
        seconds,
        deadline=None if options.until is None else options.began + options.until,
    )


def slurm_slots(options: Options, runtime: Mapping[str, Any], runs: int) -> list[Slot]:
    """As many places as the cluster may give to so many runs at once."""
    slurm = SlurmOptions.parse(options.slurm)
    jobs = -(-runs // slurm.runs_per_job)
    places = min(jobs, slurm.parallel or jobs) * _places_of_a_job(options, slurm, runtime)
    return [Slot(i) for i in range(max(1, places))]


def _places_of_a_job(options: Options, slurm: SlurmOptions, runtime: Mapping[str, Any]) -> int:
    """Runs that one Slurm job does at the same time, unless it is given other cores."""
    if options.slots is not None:
        return options.slots
    if slurm.gpus is not None:
        groups = max(1, slurm.gpus // runtime.get("processes", 1))
        return groups * (options.per_gpu or 1)
    return slurm.runs_per_job


def _cores_of_a_run(runtime: Mapping[str, Any]) -> int:
    return runtime["threads"] * runtime.get("processes", 1)
