"""What a user can ask of Slurm: the words `slurm.NAME=value` of the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flow3r.config import require
from flow3r.errors import ConfigError
from sweeps import words as read

EXTRA = "extra."
"""How the words begin that become parameters of sbatch as they are."""

_ELSEWHERE = {
    "partition": "slurm.partition",
    "account": "slurm.account",
    "qos": "slurm.qos",
    "time": "slurm.time",
    "mem": "slurm.mem",
    "gpus-per-node": "slurm.gpus",
    "cpus-per-task": "slurm.cpus",
    "signal": "slurm.notice",
}
"""Parameters of sbatch that have a word of their own."""

_FIXED = frozenset(
    {"array", "dependency", "error", "job-name", "nodes", "ntasks", "open-mode", "output"}
    | {"no-requeue", "requeue", "wrap"}
)
"""Parameters of sbatch on which the executor relies."""


@dataclass(frozen=True)
class SlurmOptions:
    """Resources of one Slurm job, and how jobs are submitted.

    partition, account, qos: as the cluster names them; None: its default.
    time: limit of one job in minutes; a run that takes longer goes on in the next turn.
    mem: memory of one job, e.g. 16G. gpus: GPUs of one job. cpus: cores of one job; None: as many
        as its runs use.
    parallel: jobs of an array that may run at the same time; None: as many as Slurm lets.
    runs_per_job: runs that share one job, as many of them at a time as it has places.
    notice: seconds before the time limit at which a job is told to checkpoint.
    poll: seconds between two looks at Slurm's queue.
    extra: further parameters of sbatch, e.g. {"constraint": "a100"}; "true" is a flag.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: int = 60
    mem: str | None = None
    gpus: int | None = None
    cpus: int | None = None
    parallel: int | None = None
    runs_per_job: int = 1
    notice: int = 120
    poll: float = 15.0
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, words: Mapping[str, str]) -> SlurmOptions:
        """Read the words, without `slurm.`; ConfigError names the word and the choices."""
        own = {name: value for name, value in words.items() if not name.startswith(EXTRA)}
        extra = {_parameter(name): value for name, value in words.items() if name.startswith(EXTRA)}
        unknown = sorted(set(own) - set(_READERS))
        require(
            not unknown,
            f"slurm.{', slurm.'.join(unknown)} is not known; "
            f"choose among {[*_READERS, 'extra.NAME']}",
        )
        values: dict[str, Any] = {
            name: _READERS[name](f"slurm.{name}", value) for name, value in own.items()
        }
        options = cls(**values, extra=extra)
        require(
            options.notice < 60 * options.time,
            f"slurm.notice={options.notice} seconds is not less than slurm.time={options.time} "
            "minutes; a job needs time to work in",
        )
        return options


def _parameter(word: str) -> str:
    """The parameter of sbatch in `extra.NAME`; ConfigError for one that is set otherwise."""
    name = word.removeprefix(EXTRA).replace("_", "-")
    require(
        re.fullmatch(r"[a-z][a-z0-9-]*", name) is not None,
        f"slurm.{word} names no parameter of sbatch; write slurm.extra.NAME=value, "
        "as in slurm.extra.constraint=a100",
    )
    require(
        name not in _ELSEWHERE, f"slurm.{word}: write {_ELSEWHERE.get(name)}= for this parameter"
    )
    require(
        name not in _FIXED,
        f"slurm.{word}: the sweep sets --{name} itself; other parameters than "
        f"{sorted(_FIXED)} can be set",
    )
    return name


def _text(name: str, value: str) -> str:
    require(bool(value.strip()), f"{name} is empty; leave it out for the cluster's default")
    return value


def _memory(name: str, value: str) -> str:
    require(
        re.fullmatch(r"\d+([KMGT]B?)?", value) is not None,
        f"{name}={value!r} is not valid; give memory as sbatch does, e.g. 16G or 900M",
    )
    return value


def _minutes(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ConfigError(
            f"{name}={value!r} is not valid; give whole minutes, as in {name}=240 for 4 hours"
        )
    return read.count(name, value, 1)


def _at_least(least: int) -> Callable[[str, str], int]:
    return lambda name, value: read.count(name, value, least)


_READERS: dict[str, Callable[[str, str], Any]] = {
    "partition": _text,
    "account": _text,
    "qos": _text,
    "time": _minutes,
    "mem": _memory,
    "gpus": _at_least(1),
    "cpus": _at_least(1),
    "parallel": _at_least(1),
    "runs_per_job": _at_least(1),
    "notice": _at_least(0),
    "poll": read.duration,
}
