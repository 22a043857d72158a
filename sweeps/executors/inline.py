"""One job after another, each in a child process whose output also goes to the console."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.executors.child import EchoingChild
from sweeps.executors.resources import Slot
from sweeps.executors.slots import LocalExecutor, Observer, Policy
from sweeps.jobs import Job


def inline_executor(
    jobs: Sequence[Job],
    slots: Sequence[Slot],
    observer: Observer,
    runtime: dict[str, object],
    policy: Policy,
) -> LocalExecutor:
    """The local executor with one slot and children that echo."""
    return LocalExecutor(jobs, slots[:1], observer, runtime, policy, start=EchoingChild)
