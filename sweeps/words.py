"""Reads the value of one word of the command line; ConfigError names value and choices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from flow3r.errors import ConfigError

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_UNITS = (86400, 3600, 60, 1)


def choice(name: str, value: str, choices: Sequence[str]) -> str:
    """One of the choices."""
    if value not in choices:
        raise ConfigError(f"{name}={value!r} is not known; choose one of {list(choices)}")
    return value


def boolean(name: str, value: str) -> bool:
    """true or false."""
    if value.lower() not in ("true", "false"):
        raise ConfigError(f"{name}={value!r} is not valid; choose true or false")
    return value.lower() == "true"


def count(name: str, value: str, least: int) -> int:
    """A whole number, at least `least`."""
    if not _is_whole(value) or int(value) < least:
        raise ConfigError(f"{name}={value!r} is not valid; give a whole number >= {least}")
    return int(value)


def seeds(name: str, value: str) -> tuple[int, ...]:
    """Whole numbers, each once: `[0,1]` or `0,1`."""
    words = [word.strip() for word in value.strip("[] ").split(",")]
    if not all(_is_whole(word) for word in words):
        raise ConfigError(f"{name}={value!r} is not valid; give whole numbers, as in {name}=[0,1]")
    numbers = tuple(int(word) for word in words)
    if len(set(numbers)) != len(numbers):
        raise ConfigError(f"{name}={value!r} names a seed twice")
    return numbers


def patterns(name: str, value: str) -> tuple[str, ...]:
    """Names or patterns, separated by commas; a list in brackets is read too."""
    text = value.strip()
    if text.startswith("[") and text.find("]") == len(text) - 1:
        text = text[1:-1]  # not a set of characters such as [ab]*, which ends later
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise ConfigError(
            f"{name}={value!r} is not valid; give arms, patterns or run ids, as in {name}=3d-*"
        )
    return words


def duration(name: str, value: str) -> float:
    """Seconds, more than none, of `90`, `90s`, `45m`, `2h30m` or `1d12h`."""
    found = _DURATION.fullmatch(value)
    parts = found.groups() if found else ()
    seconds = sum(int(part) * unit for part, unit in zip(parts, _UNITS, strict=False) if part)
    if seconds <= 0:
        raise ConfigError(
            f"{name}={value!r} is not valid; give seconds (90) or units, as in 90s, 45m or 2h30m"
        )
    return float(seconds)


def deadline(name: str, value: str, now: datetime) -> float:
    """Seconds from `now` (local time): a duration, or the next moment the clock shows `21:30`."""
    found = _CLOCK.fullmatch(value)
    if not found:
        if ":" in value:
            raise _no_moment(name, value)
        return duration(name, value)
    hour, minute = (int(part) for part in found.groups())
    if hour > 23 or minute > 59:
        raise _no_moment(name, value)
    moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if moment <= now:
        moment += timedelta(days=1)
    return moment.timestamp() - now.timestamp()


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _no_moment(name: str, value: str) -> ConfigError:
    return ConfigError(
        f"{name}={value!r} is not valid; give a moment as in 21:30, or a duration as in 2h30m"
    )
