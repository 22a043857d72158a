"""Composes many candidates at the price of a few."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.compose import Composed
from flow3r.errors import ConfigError


class CandidateComposer:
    """Composes what candidates share once, and puts the tuned values into the result.

    Composing takes a tenth of a second, which a dry run of dozens of candidates should not pay for
    each. That the values stand in one place of the spec each is checked on the first candidate
    that has others than the first; where it does not hold, every candidate is composed.
    """

    def __init__(self, tuned: Collection[str], compose: Callable[[list[str]], Composed]) -> None:
        """tuned: names of the tuned settings; the same in an override and in a spec."""
        self._tuned, self._compose = tuned, compose
        self._shared: dict[tuple[str, ...], Composed] = {}
        self._checked: dict[tuple[str, ...], bool] = {}

    def __call__(self, overrides: Sequence[str]) -> Composed:
        """The same as composing these overrides."""
        pairs = [(override, override.partition("=")[::2]) for override in overrides]
        others = tuple(override for override, (name, _) in pairs if name not in self._tuned)
        values = {name: float(text) for _, (name, text) in pairs if name in self._tuned}
        if others not in self._shared:
            self._shared[others] = self._compose(list(overrides))
            return self._shared[others]
        shared = self._shared[others]
        changed = replace(shared, spec=with_values(shared.spec, values))
        if others not in self._checked and changed.spec != shared.spec:
            composed = self._compose(list(overrides))
            self._checked[others] = composed.spec == changed.spec
            return composed
        return changed if self._checked.get(others, True) else self._compose(list(overrides))


def value_at(spec: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, where numbers count the entries of a list."""
    holder, name = _holder(spec, path)
    return holder[name]


def with_values(spec: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the spec with other values at some paths."""
    changed = copy.deepcopy(dict(spec))
    for path, value in values.items():
        holder, name = _holder(changed, path)
        holder[name] = value
    return changed


def _holder(spec: Any, path: str) -> tuple[Any, Any]:
    """The mapping or list that holds the end of a path, and its key or index there."""
    value, holder, name = spec, None, None
    try:
        for part in path.split("."):
            holder, name = value, int(part) if isinstance(value, list) else part
            value = holder[name]
    except (KeyError, IndexError, ValueError, TypeError):
        raise ConfigError(f"space.{path}: no such setting in a run's spec") from None
    return holder, name
