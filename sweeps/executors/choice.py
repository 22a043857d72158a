"""Which executor runs the jobs of a sweep: `launcher=` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sweeps.executors.inline import inline_executor
from sweeps.executors.ledger import Ledger
from sweeps.executors.resources import Slot, local_slots
from sweeps.executors.slots import LocalExecutor, Observer, Policy
from sweeps.jobs import Job
from sweeps.options import Options


class Planned(Protocol):
    """What an executor needs to know of a plan."""

    @property
    def runtime(self) -> Mapping[str, Any]: ...


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
    make = inline_executor if options.launcher == "inline" else LocalExecutor
    return make(
        jobs,
        sweep_slots(options, plan),
        observer,
        dict(plan.runtime),
        Policy(retries=options.retries),
        seconds=seconds,
    )


def sweep_slots(options: Options, plan: Planned) -> list[Slot]:
    """The places for runs on this machine."""
    count = 1 if options.launcher == "inline" else options.slots
    runtime = plan.runtime
    return local_slots(count, runtime["device"], runtime["threads"], runtime.get("processes", 1))
