"""One job after another, each in a child process whose output also goes to the console."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.executors.child import EchoingChild
from sweeps.executors.resources import local_slots
from sweeps.executors.slots import LocalExecutor, Observer, Policy
from sweeps.jobs import Job


def inline_executor(
    jobs: Sequence[Job], observer: Observer, runtime: dict[str, object], policy: Policy
) -> LocalExecutor:
    """The local executor with a single slot and children that echo."""
    slots = local_slots(1, str(runtime["device"]))
    return LocalExecutor(jobs, slots, observer, runtime, policy, start=EchoingChild)
