"""The newest value of one curve, from the end of a metrics file: cheap enough for every second."""

from __future__ import annotations

import json
from pathlib import Path

_TAIL_BYTES = 8192


def latest_value(metrics: Path, key: str) -> float | None:
    """What was last recorded under `key`: nan where that was not finite; None if nothing was."""
    if not metrics.exists():
        return None
    with open(metrics, "rb") as file:
        start = max(0, metrics.stat().st_size - _TAIL_BYTES)
        file.seek(start)
        lines = file.read().split(b"\n")
    whole = lines[1 if start else 0 : -1]  # the first may be cut, the last is still being written
    for line in reversed(whole):
        record = json.loads(line)
        if key in record["metrics"]:
            return float(record["metrics"][key])
        if key in record.get("nonfinite", {}):
            return float("nan")
    return None
