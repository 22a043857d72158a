"""Tiny downloads in every layout, written by the generated world."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "layouts"
PACKAGE = "dataset_layouts"


def _layouts(name: str) -> types.ModuleType:
    """A module of `layouts/` (test folders are no packages)."""
    if PACKAGE not in sys.modules:
        package = types.ModuleType(PACKAGE)
        package.__path__ = [str(HERE)]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def layouts():
    """A function: name of a layout -> its module with `write(folder, clip) -> Written`."""
    return _layouts


@pytest.fixture
def make_clip():
    """A function: frames, dynamic, seed -> a clip of the generated world to write."""
    return _layouts("clip").make_clip
