"""Identity: equal scientific settings are the same run, whatever the machine or the folder."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """JSON with sorted keys and without spaces; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_id(spec: dict[str, Any]) -> str:
    """12 hexadecimal digits of the hash of a resolved run spec."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()[:12]


def stage_id(kind: str, spec: dict[str, Any]) -> str:
    """`<kind>-<12 hexadecimal digits>` of a stage's settings."""
    return f"{kind}-{run_id({'kind': kind, 'spec': spec})}"
