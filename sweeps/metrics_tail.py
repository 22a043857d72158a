"""Reads what was appended to metrics.jsonl since the last time, also after a resume cut it."""

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


@dataclass
class Cursor:
    """How far a metrics file was read.

    `anchor` is a hash of the bytes just before `offset`: if they are not the same any more, the
    file was cut and rewritten by a resumed run, and is read again from the start; `last_step` keeps
    points that were passed on already from being passed on twice.
    """

    offset: int = 0
    anchor: str = ""
    last_step: dict[str, int] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        return {"offset": self.offset, "anchor": self.anchor, "last_step": self.last_step}


def read_new(path: Path, cursor: Cursor) -> tuple[list[Point], dict[str, str], Cursor]:
    """New points, the first non-finite value of each key as text, and the cursor after them.

    A last line without its newline is still being written and is left for the next time.
    """
    if not path.exists():
        return [], {}, cursor
    with open(path, "rb") as file:
        start = cursor.offset if _anchor(file, cursor.offset) == cursor.anchor else 0
        file.seek(start)
        data = file.read()
        end = start + data.rfind(b"\n") + 1
        anchor = _anchor(file, end)
    points: list[Point] = []
    flags: dict[str, str] = {}
    last = dict(cursor.last_step)
    for line in data[: end - start].splitlines():
        record = json.loads(line)
        for key, text in _nonfinite(record).items():
            flags.setdefault(key, f"{text} at step {record['step']}")
        for key, value in record["metrics"].items():
            if record["step"] > last.get(key, -1) and _is_finite(value):
                last[key] = record["step"]
                points.append(Point(key, value, record["step"], round(record["time"] * 1000)))
    return points, flags, Cursor(end, anchor, last)


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
