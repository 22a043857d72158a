"""Reads what was appended to a file of metrics since the last time, also after a resume cut it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ANCHOR_BYTES = 256


@dataclass(frozen=True)
class Point:
    """One value of one curve."""

    key: str
    value: float
    step: int
    milliseconds: int


@dataclass(frozen=True)
class Cursor:
    """How far a file was read.

    `anchor` is a hash of the bytes just before `offset`: if they are not the same any more, the
    file was cut and rewritten by a resumed run, and is read again from the start.
    """

    offset: int = 0
    anchor: str = ""


@dataclass(frozen=True)
class Tail:
    """What was read.

    `flags` has the first non-finite value of each key, as text. `from_start`: the file was read
    whole, so that points may be among these that were passed on before.
    """

    points: list[Point]
    flags: dict[str, str]
    cursor: Cursor
    from_start: bool


EMPTY = Tail([], {}, Cursor(), from_start=True)


@dataclass
class _Lines:
    points: dict[tuple[str, int], Point] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)

    def add(self, record: dict[str, Any]) -> None:
        step, moment = record["step"], round(record["time"] * 1000)
        for key, text in _nonfinite(record).items():
            self.flags.setdefault(key, f"{text} at step {step}")
        for key, value in record["metrics"].items():
            if _is_finite(value):
                self.points[key, step] = Point(key, value, step, moment)


def read_new(path: Path, cursor: Cursor) -> Tail:
    """What was appended after the cursor, one point for each key and step.

    A last line without its newline is still being written and is left for the next time.
    """
    if not path.exists():
        return EMPTY
    with open(path, "rb") as file:
        start = cursor.offset if _anchor(file, cursor.offset) == cursor.anchor else 0
        file.seek(start)
        data = file.read()
        end = start + data.rfind(b"\n") + 1
        anchor = _anchor(file, end)
    lines = _Lines()
    for line in data[: end - start].splitlines():
        lines.add(json.loads(line))
    return Tail(list(lines.points.values()), lines.flags, Cursor(end, anchor), start == 0)


def _anchor(file: Any, offset: int) -> str:
    start = max(0, offset - _ANCHOR_BYTES)
    file.seek(start)
    content = file.read(offset - start)
    return hashlib.sha256(content).hexdigest()[:12] if len(content) == offset - start > 0 else ""


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _nonfinite(record: dict[str, Any]) -> dict[str, str]:
    """MLflow would store infinity as the largest float, so such values never become points."""
    found = {key: str(v) for key, v in record["metrics"].items() if not _is_finite(v)}
    return {**found, **record.get("nonfinite", {})}
