"""Strict conversion between plain mappings (JSON, YAML) and frozen config dataclasses."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from flow3r.errors import ConfigError

T = TypeVar("T")

LATER: Mapping[str, Any] = {"later": True}
"""Metadata of a field that was added when runs had been recorded: `to_mapping` leaves it out at its
default, so that the identity of every run without it stays what it was."""

UNIONS = (typing.Union, types.UnionType)


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `cls` from a mapping, recursively and strictly.

    `cls` may be a union of dataclasses: each has the same field whose type is a Literal, and the
    mapping's value for it says which one is meant; without it, the first one. Raises ConfigError
    for an unknown key, a missing key or a value of the wrong type; `where` is the dotted path of
    the mapping in the whole config, used in the message.
    """
    if not isinstance(mapping, Mapping):
        name = getattr(cls, "__name__", "config")
        raise ConfigError(f"{where or name}: expected a mapping, got {mapping!r}")
    if typing.get_origin(cls) in UNIONS:
        cls = _tagged_member(cls, mapping, where)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(mapping) - set(fields))
    if unknown:
        raise ConfigError(
            f"{_join(where, unknown[0])}: unknown setting; valid settings are {sorted(fields)}"
        )
    missing = [
        name
        for name, f in fields.items()
        if name not in mapping
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{_join(where, missing[0])}: required setting is missing")
    values = {k: _convert(hints[k], v, _join(where, k)) for k, v in mapping.items()}
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from None


def to_mapping(config: Any) -> dict[str, Any]:
    """The inverse of `from_mapping`: plain dicts, lists and scalars, ready for JSON."""
    return _plain(config)


def require(condition: bool, message: str) -> None:
    """Raise ConfigError(message) unless the condition holds (for `__post_init__` checks)."""
    if not condition:
        raise ConfigError(message)


def require_choice(name: str, value: Any, choices: typing.Iterable[Any]) -> None:
    """Raise ConfigError unless `value` is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise ConfigError(f"{name}={value!r} is not valid; choose one of {choices}")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _tagged_member(union: Any, mapping: Mapping[str, Any], where: str) -> type:
    """The dataclass of a union whose tag the mapping carries."""
    members = [member for member in typing.get_args(union) if member is not type(None)]
    tags = [_literals(member) for member in members]
    [name] = set.intersection(*(set(literals) for literals in tags))
    choices = {tag[name]: member for tag, member in zip(tags, members)}
    value = mapping.get(name, tags[0][name])
    if value not in choices:
        raise ConfigError(
            f"{_join(where, name)}={value!r} is not valid; choose one of {list(choices)}"
        )
    return choices[value]


def _literals(cls: type) -> dict[str, Any]:
    """The fields of a dataclass whose type is a Literal, and its value."""
    hints = typing.get_type_hints(cls)
    return {
        name: typing.get_args(hint)[0]
        for name, hint in hints.items()
        if typing.get_origin(hint) is typing.Literal
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if not (f.metadata.get("later") and getattr(value, f.name) == f.default)
        }
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if origin in UNIONS:
        return _convert_union(hint, value, where)
    if origin is typing.Literal:
        require_choice(where, value, typing.get_args(hint))
        return value
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_mapping(hint, value, where)
    if origin is tuple:
        return _convert_tuple(hint, value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}={value!r}: expected a mapping")
        item = typing.get_args(hint)[1]
        return {str(k): _convert(item, v, f"{where}.{k}") for k, v in value.items()}
    return _convert_scalar(hint, value, where)


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    members = typing.get_args(hint)
    if value is None and type(None) in members:
        return None
    rest = [m for m in members if m is not type(None)]
    if len(rest) == 1:
        return _convert(rest[0], value, where)
    if all(dataclasses.is_dataclass(m) for m in rest):
        return value if isinstance(value, tuple(rest)) else from_mapping(hint, value, where)
    raise TypeError(f"{where}: not a supported union: {hint}")


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple:
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}={value!r}: expected a list")
    arguments = typing.get_args(hint)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_convert(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if len(arguments) != len(value):
        raise ConfigError(f"{where}={value!r}: expected {len(arguments)} values")
    return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, value)))


def _convert_scalar(hint: type, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (bool, str) and isinstance(value, hint):
        return value
    raise ConfigError(f"{where}={value!r}: expected {hint.__name__}, got {type(value).__name__}")
