"""Breaking a sweep for real: its modules, loaded from `kit/` (test folders are no packages)."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "kit"
PACKAGE = "torture_kit"


def _kit(name: str) -> types.ModuleType:
    if PACKAGE not in sys.modules:
        package = types.ModuleType(PACKAGE)
        package.__path__ = [str(HERE)]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture(scope="session")
def kit():
    """A function: name of a module of `kit/` -> the module."""
    return _kit


@pytest.fixture
def checkout(kit, tmp_path):
    """A copy of the source tree of this test's own; nothing works in its folder afterwards."""
    with kit("monkey").nothing_left(tmp_path):
        yield kit("checkout").Checkout(tmp_path / "checkout")
