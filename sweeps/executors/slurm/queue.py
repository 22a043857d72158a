"""Slurm's queue, as `squeue` shows it: no accounting database is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from flow3r.errors import ConfigError

PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol", "srun")

_SECONDS = 60.0  # a busy controller takes its time
_ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"}
    | {"PREEMPTED", "REVOKED", "TIMEOUT"}
)
_LINE = re.compile(r"(?P<base>\d+)(?:_(?P<index>\d+))?\|(?P<state>\w+)\|(?P<name>.*)")


@dataclass(frozen=True)
class QueuedTask:
    """A task of an array (or a job that is none: index 0) in the queue, or lately there."""

    base: int
    index: int
    in_array: bool
    state: str
    name: str

    @property
    def id(self) -> str:
        """As Slurm writes it: `12_3`, or `12` for a job that is no array."""
        return f"{self.base}_{self.index}" if self.in_array else str(self.base)

    @property
    def alive(self) -> bool:
        """Whether Slurm will still run it, or runs it."""
        return self.state not in _ENDED


class QueueError(Exception):
    """Slurm did not answer; it may do so later."""


def read_queue() -> list[QueuedTask]:
    """This user's tasks, those that ended in the last minutes among them (Slurm's MinJobAge).

    Raises QueueError where the controller gives no answer.
    """
    words = ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T|%j"]
    found = map(_LINE.fullmatch, _ask(words).splitlines())
    return [
        QueuedTask(
            int(line["base"]),
            int(line["index"] or 0),
            line["index"] is not None,
            line["state"],
            line["name"],
        )
        for line in found
        if line
    ]


def state_of_job(job: str) -> str | None:
    """The state of one job in Slurm's words; None where Slurm knows it no longer."""
    words = ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"]
    try:
        return (_ask(words).split() or [None])[0]
    except QueueError:
        return None


def cancel(tasks: Iterable[QueuedTask]) -> None:
    """Cancel what waits and what runs (SIGTERM, and after Slurm's KillWait SIGKILL)."""
    ids = [task.id for task in tasks]
    if ids:
        _ask(["scancel", *ids])


def check_programs() -> None:
    """ConfigError where Slurm's programs cannot be found."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise ConfigError(
            f"launcher=slurm needs Slurm's programs, and {', '.join(missing)} cannot be found on "
            "this machine; start the sweep on a login node, or choose launcher=local"
        )


def _ask(words: list[str]) -> str:
    try:
        answer = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise QueueError(f"{words[0]} gave no answer within {_SECONDS:.0f} s") from None
    if answer.returncode != 0:
        raise QueueError(f"{words[0]}: {answer.stderr.strip() or answer.returncode}")
    return answer.stdout
