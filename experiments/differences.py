"""What differs between two specs, in the dotted names of the command line (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from experiments.identity import without_surroundings

ABSENT = "absent"
LONGEST = 40  # characters of a value
_MISSING = object()


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """`training.stages.1.lr 0.001 -> 0.002` for every setting that makes them two runs, in order.

    A setting that only one of them has is `absent` in the other.
    """
    return list(_walk(without_surroundings(before), without_surroundings(after), ""))


def _walk(before: Any, after: Any, path: str) -> Iterator[str]:
    if before == after:
        return
    old, new = _inner(before), _inner(after)
    if old is None or new is None:
        yield f"{path} {_shown(before)} -> {_shown(after)}"
        return
    for name in dict.fromkeys([*old, *new]):
        inner = f"{path}.{name}" if path else name
        yield from _walk(old.get(name, _MISSING), new.get(name, _MISSING), inner)


def _inner(value: Any) -> dict[str, Any] | None:
    """What has names of its own in a value; None for a plain one. A list of numbers is plain."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return {str(index): item for index, item in enumerate(value)}
    return None


def _shown(value: Any) -> str:
    if value is _MISSING:
        return ABSENT
    text = value if isinstance(value, str) and value else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
