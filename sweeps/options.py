"""The words of the command line: `name=value`, some of them ours, the rest for the run config."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from flow3r.errors import ConfigError
from sweeps import words as read

CONFIGS = Path(__file__).resolve().parent.parent / "experiments" / "configs"
LAUNCHERS = ("local", "inline", "slurm")
RETRIES_OF = ("all", "failed", "none")
CONSOLES = ("auto", "live", "plain", "quiet", "json")
_ROOM = 1 << 16  # bytes that an output folder has to have room for at least
SLURM = "slurm."
"""How the words begin that only Slurm reads."""


@dataclass(frozen=True)
class Options:
    """What the user asked for; `until`, `timeout` and `stall` are seconds.

    only: arm names, patterns of them, or run ids; only these runs are executed.
    retry: which unfinished runs are looked at: "all", "failed" (those that failed before) or
        "none" (all but those).
    until: the sweep stops after so long, with checkpoints.
    timeout: an attempt of a job may take so long.
    stall: a job that gives no sign of life for so long counts as hung.
    per_gpu: runs that share one GPU; None: as many as fit by their measured memory.
    slurm: the words `slurm.NAME=value`, unread.
    overrides: left to the run config.
    began: when the command began, on the clock of `time.monotonic`.
    """

    sweep: str
    profile: str = "laptop"
    output_dir: Path = Path("outputs")
    dry_run: bool = False
    seeds: tuple[int, ...] | None = None
    only: tuple[str, ...] = ()
    retry: str = "all"
    tuned: bool = False
    slots: int | None = None
    per_gpu: int | None = 1
    launcher: str = "local"
    until: float | None = None
    timeout: float | None = None
    stall: float = 1800.0
    retries: int = 1
    console: str = "auto"
    report: bool = True
    tracking: bool = True
    tracking_uri: str | None = None
    slurm: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    began: float = field(default_factory=time.monotonic, compare=False)


_NOT_WORDS = ("slurm", "overrides", "began")  # they gather words, or stand for none
_OWN = tuple(entry.name for entry in fields(Options) if entry.name not in _NOT_WORDS)


def parse(words: Sequence[str], now: datetime | None = None) -> Options:
    """Read the words of the command line; ConfigError names the word and the choices.

    now: local time, from which `until=21:30` counts.
    """
    own, slurm, overrides = _sorted_out(words)
    if "sweep" not in own:
        raise ConfigError(f"sweep=NAME is missing; choose one of {available('sweep')}")
    now = now or datetime.now()
    readers: dict[str, Callable[[str, str], object]] = {
        "sweep": lambda name, value: read.choice(name, value, available("sweep")),
        "profile": lambda name, value: read.choice(name, value, available("profile")),
        "output_dir": lambda _, value: Path(value),
        "dry_run": read.boolean,
        "seeds": read.seeds,
        "only": read.patterns,
        "retry": lambda name, value: read.choice(name, value, RETRIES_OF),
        "tuned": read.boolean,
        "slots": lambda name, value: read.count(name, value, 1),
        "per_gpu": lambda name, value: None if value == "auto" else read.count(name, value, 1),
        "launcher": lambda name, value: read.choice(name, value, LAUNCHERS),
        "until": lambda name, value: read.deadline(name, value, now),
        "timeout": read.duration,
        "stall": read.duration,
        "retries": lambda name, value: read.count(name, value, 0),
        "console": lambda name, value: read.choice(name, value, CONSOLES),
        "report": read.boolean,
        "tracking": read.boolean,
        "tracking_uri": lambda _, value: value,
    }
    values: dict[str, Any] = {name: readers[name](name, value) for name, value in own.items()}
    options = Options(**values, slurm=slurm, overrides=tuple(overrides))
    _check_slurm(options)
    return replace(options, output_dir=options.output_dir.absolute())


def _sorted_out(words: Sequence[str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Our own words, Slurm's and the overrides."""
    own: dict[str, str] = {}
    slurm: dict[str, str] = {}
    overrides = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not understood; write name=value, or --help for help")
        if name in _OWN:
            _put(own, name, value, word_name=name)
        elif name.startswith(SLURM):
            _put(slurm, name.removeprefix(SLURM), value, word_name=name)
        else:
            overrides.append(word)
    return own, slurm, overrides


def _put(found: dict[str, str], key: str, value: str, word_name: str) -> None:
    if key in found:
        raise ConfigError(f"{word_name} is given twice")
    found[key] = value


def _check_slurm(options: Options) -> None:
    if options.slurm and options.launcher != "slurm":
        word = SLURM + next(iter(options.slurm))
        raise ConfigError(
            f"{word} is read with launcher=slurm alone, not with launcher={options.launcher}"
        )


def available(group: str) -> list[str]:
    """The names in a config folder (sweeps, profiles)."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def require_writable(folder: Path) -> None:
    """Make the folder and try to write in it; ConfigError with the system's reason.

    An empty file would also fit on a full disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(_ROOM))
            os.fsync(file.fileno())
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            f"output_dir={folder} cannot be written ({reason}); choose another output_dir"
        ) from None
