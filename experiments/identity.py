"""Identity: equal scientific settings are the same run, whatever the machine or the folder."""

from __future__ import annotations

import hashlib
import json
from typing import Any

SURROUNDINGS = {"folder", "manifest", "weights", "device", "batch"}


def canonical(value: Any) -> str:
    """JSON with sorted keys and without spaces; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_id(spec: dict[str, Any]) -> str:
    """12 hexadecimal digits of the hash of a resolved run spec."""
    return hashlib.sha256(canonical(without_surroundings(spec)).encode()).hexdigest()[:12]


def stage_id(kind: str, spec: dict[str, Any]) -> str:
    """`<kind>-<12 hexadecimal digits>` of a stage's settings."""
    return f"{kind}-{run_id({'kind': kind, 'spec': spec})}"


def without_surroundings(value: Any) -> Any:
    """Leave out what does not matter where the content is identified beside it: paths of videos and
    weights, and how a teacher's network is run.
    """
    if isinstance(value, dict):
        hidden = SURROUNDINGS if value.get("content") else {"content"}
        return {k: without_surroundings(v) for k, v in value.items() if k not in hidden}
    if isinstance(value, list):
        return [without_surroundings(v) for v in value]
    return value
