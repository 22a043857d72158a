"""Which executor runs the jobs of a sweep: `launcher=` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from sweeps.console.choice import jobs_echo
from sweeps.executors.gpu_memory import fitting_runs
from sweeps.executors.inline import inline_executor
from sweeps.executors.ledger import Ledger
from sweeps.executors.resources import Slot, local_slots
from sweeps.executors.slots import LocalExecutor, Observer, Policy
from sweeps.executors.slurm.launch import slurm_executor, slurm_slots
from sweeps.executors.warm import WarmStart
from sweeps.jobs import Job
from sweeps.options import Options


class Planned(Protocol):
    """What an executor needs to know of a plan."""

    @property
    def runtime(self) -> Mapping[str, Any]: ...

    @property
    def runs(self) -> Sequence[Any]: ...


class Executor(Protocol):
    """Runs jobs until all have ended, or until it is stopped."""

    def run(self) -> Ledger: ...


def make_executor(
    options: Options,
    plan: Planned,
    jobs: Sequence[Job],
    observer: Observer,
    seconds: Mapping[str, float],
) -> Executor:
    """The executor that `launcher=` names. `seconds`: expected duration per job id."""
    if options.launcher == "slurm":
        policy = make_policy(options)
        return slurm_executor(options, plan.runtime, jobs, observer, policy, seconds)
    make = inline_executor if jobs_echo(options) else partial(LocalExecutor, start=WarmStart())
    return make(
        jobs,
        sweep_slots(options, plan),
        observer,
        dict(plan.runtime),
        make_policy(options),
        seconds=seconds,
        deadline=None if options.until is None else options.began + options.until,
    )


def make_policy(options: Options) -> Policy:
    """What the command line says about failures."""
    return Policy(retries=options.retries, timeout=options.timeout, stall=options.stall)


def sweep_slots(options: Options, plan: Planned) -> list[Slot]:
    """The places for runs on this machine, or on the cluster."""
    if options.launcher == "slurm":
        return slurm_slots(options, plan.runtime, len(plan.runs))
    count = 1 if options.launcher == "inline" else options.slots
    device, threads = plan.runtime["device"], plan.runtime["threads"]
    per_gpu = options.per_gpu or fitting_runs(
        [run.spec for run in plan.runs], device, options.output_dir
    )
    return local_slots(count, device, threads, plan.runtime.get("processes", 1), per_gpu)
