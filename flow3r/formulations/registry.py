"""Formulations by name. A new one is one file in this package with a decorated class.

Every module of the package is imported on the first look-up, so that no list needs an edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from flow3r.config import from_mapping, require_choice
from flow3r.formulations.base import Formulation
from flow3r.model.sizes import LatentSizes


class FormulationClass(Protocol):
    """How a formulation is made: from its own options and the sizes of the model it reads."""

    name: str
    supervises_unlabelled: bool

    def __call__(self, options: Any, sizes: LatentSizes) -> Formulation: ...


ClassT = TypeVar("ClassT", bound=type[Formulation])

_REGISTRY: dict[str, tuple[FormulationClass, type]] = {}


@dataclass(frozen=True)
class FormulationConfig:
    """Which formulation, and its options (checked against the options dataclass of that one)."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_choice("formulation", self.name, formulation_names())


def register(options: type) -> Callable[[ClassT], ClassT]:
    """Class decorator: make a Formulation available under its `name`, with its options class."""

    def add(cls: ClassT) -> ClassT:
        known = _REGISTRY.get(cls.name)
        if known is not None and known[0].__qualname__ != cls.__qualname__:
            raise ValueError(f"two formulations are named {cls.name!r}: {known[0]} and {cls}")
        _REGISTRY[cls.name] = (cls, options)
        return cls

    return add


def formulation_names() -> list[str]:
    """The names of all formulations, sorted."""
    _discover()
    return sorted(_REGISTRY)


def supervises_unlabelled(name: str) -> bool:
    """Whether a formulation has a loss on unlabelled clips; ConfigError for an unknown name."""
    require_choice("formulation", name, formulation_names())
    return _REGISTRY[name][0].supervises_unlabelled


def create_formulation(name: str, options: Mapping[str, Any], sizes: LatentSizes) -> Formulation:
    """Build a formulation's head for a model with latents of the given sizes.

    Raises ConfigError for an unknown name or a wrong option.
    """
    require_choice("formulation", name, formulation_names())
    cls, options_class = _REGISTRY[name]
    return cls(from_mapping(options_class, options, "formulation.options"), sizes)


def _discover() -> None:
    package = importlib.import_module("flow3r.formulations")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
