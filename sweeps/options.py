"""The words of the command line: `name=value`, some of them ours, the rest for the run config."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flow3r.errors import ConfigError

CONFIGS = Path(__file__).resolve().parent.parent / "experiments" / "configs"
LAUNCHERS = ("local", "inline")
_OWN = (
    "sweep",
    "profile",
    "output_dir",
    "dry_run",
    "seeds",
    "slots",
    "launcher",
    "retries",
    "tracking",
    "tracking_uri",
)


@dataclass(frozen=True)
class Options:
    """What the user asked for. `overrides` are left to the run config."""

    sweep: str
    profile: str = "laptop"
    output_dir: Path = Path("outputs")
    dry_run: bool = False
    seeds: tuple[int, ...] | None = None
    slots: int | None = None
    launcher: str = "local"
    retries: int = 1
    tracking: bool = True
    tracking_uri: str | None = None
    overrides: tuple[str, ...] = ()


def parse(words: Sequence[str]) -> Options:
    """Read the words of the command line; ConfigError names the word and the choices."""
    own: dict[str, str] = {}
    overrides = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not understood; write name=value, or --help for help")
        if name not in _OWN:
            overrides.append(word)
        elif name in own:
            raise ConfigError(f"{name} is given twice")
        else:
            own[name] = value
    if "sweep" not in own:
        raise ConfigError(f"sweep=NAME is missing; choose one of {available('sweep')}")
    options = Options(
        sweep=_choice("sweep", own["sweep"], available("sweep")),
        profile=_choice("profile", own.get("profile", "laptop"), available("profile")),
        output_dir=Path(own.get("output_dir", "outputs")).absolute(),
        dry_run=_boolean("dry_run", own.get("dry_run", "false")),
        seeds=_seeds(own["seeds"]) if "seeds" in own else None,
        slots=_count("slots", own["slots"], 1) if "slots" in own else None,
        launcher=_choice("launcher", own.get("launcher", "local"), list(LAUNCHERS)),
        retries=_count("retries", own.get("retries", "1"), 0),
        tracking=_boolean("tracking", own.get("tracking", "true")),
        tracking_uri=own.get("tracking_uri"),
        overrides=tuple(overrides),
    )
    return options


def available(group: str) -> list[str]:
    """The names in a config folder (sweeps, profiles)."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def require_writable(folder: Path) -> None:
    """Make the folder and try to write in it; ConfigError with the system's reason."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            f"output_dir={folder} cannot be written ({reason}); choose another output_dir"
        ) from None


def _choice(name: str, value: str, choices: list[str]) -> str:
    if value not in choices:
        raise ConfigError(f"{name}={value!r} is not known; choose one of {choices}")
    return value


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ConfigError(f"{name}={value!r} is not valid; choose true or false")
    return value.lower() == "true"


def _count(name: str, value: str, least: int) -> int:
    if not value.isdecimal() or int(value) < least:
        raise ConfigError(f"{name}={value!r} is not valid; give a whole number >= {least}")
    return int(value)


def _seeds(value: str) -> tuple[int, ...]:
    words = [word.strip() for word in value.strip("[] ").split(",")]
    if not all(word.isdecimal() for word in words):
        raise ConfigError(f"seeds={value!r} is not valid; give whole numbers, as in seeds=[0,1,2]")
    seeds = tuple(int(word) for word in words)
    if len(set(seeds)) != len(seeds):
        raise ConfigError(f"seeds={value!r} names a seed twice")
    return seeds
