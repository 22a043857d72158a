"""A spec as MLflow's parameters: every setting, under the dotted name that overrides it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 6000  # characters; MLflow cuts longer values without a word


def parameters(spec: Mapping[str, Any]) -> dict[str, str]:
    """Name -> text of every setting, none left out: of one that is too long, where to read it."""
    return {key: _shown(key, text) for key, text in flatten(spec).items()}


def flatten(spec: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{"data": {"clips": 16}} becomes {"data.clips": "16"}; items of lists have numbers.

    Lists of plain values stay whole, as they are one setting.
    """
    flat: dict[str, str] = {}
    for key, value in spec.items():
        name = f"{prefix}{key}"
        inner = _inner(value)
        if inner:
            flat |= flatten(inner, f"{name}.")
        else:
            flat[name] = value if isinstance(value, str) and value else json.dumps(value)
    return flat


def valid_name(name: str) -> str:
    """The name with `_` for what MLflow refuses in names of parameters, metrics and tags."""
    return "".join(letter if letter.isalnum() or letter in "_-./: " else "_" for letter in name)


def _inner(value: Any) -> dict[str, Any]:
    """What has names of its own in a value."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list) and _any_mapping(value):
        return {str(i): item for i, item in enumerate(value)}
    return {}


def _any_mapping(values: Iterable[Any]) -> bool:
    return any(isinstance(value, Mapping) for value in values)


def _shown(key: str, text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"({len(text)} characters: {key} in the artifact spec.json)"
