"""Who may import whom: the layers of the design, read from the source with `ast`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("flow3r", "experiments", "sweeps", "analysis")

BELOW = {
    "flow3r": set(),
    "experiments": {"flow3r"},
    "sweeps": {"flow3r", "experiments"},
    "analysis": {"flow3r"},
}
"""Imports go downward only. Analysis reads run records: it knows neither sweeps nor experiments."""

HAND_OVER = {
    ("sweeps/session.py", "analysis.report.refresh_report"),
    ("sweeps/benchmarks/session.py", "analysis.benchmarks.write_benchmarks"),
    ("sweeps/tuning/session.py", "analysis.tuning.write_tuning"),
}
"""The only imports upward: the end of a sweep writes its report. Inside a function, so that
planning and launching load no analysis."""

ROOMS = {
    "geometry": set(),
    "model": {"geometry"},
    "storage": set(),
    "data": {"geometry", "teachers", "storage"},
    "teachers": {"geometry", "data", "storage"},
    "formulations": {"geometry", "model"},
    "losses": {"geometry", "model", "data", "teachers"},
    "training": {"geometry", "model", "data", "teachers", "formulations", "losses"},
    "evaluation": {"geometry", "model", "data", "teachers"},
    "weights": {"geometry", "model", "formulations"},
    "library": {"geometry", "model", "formulations", "weights"},
    "inference": {"geometry", "model", "data", "teachers", "formulations"},
}
"""The same inside flow3r. Modules directly in flow3r/ (errors, config, ...) are open to every room
and know none."""

NUMERIC = {"torch", "einops", "numpy", "scipy"}
THIRD_PARTY = {
    "flow3r": NUMERIC,
    "experiments": NUMERIC | {"hydra", "omegaconf", "yaml", "matplotlib"},
    "analysis": {"numpy", "scipy", "pandas", "matplotlib", "seaborn", "nbformat", "nbclient"},
}
"""What a package may import at all; sweeps may import anything that is declared."""

LAZY_ONLY = {
    "av": ("flow3r/data/video", "experiments/benchmarks/footage.py"),
    "cv2": ("flow3r/teachers/", "flow3r/data/video"),
    "pyarrow": ("flow3r/data/video/manifest.py",),
    "torchvision": ("flow3r/teachers/raft.py",),
    "uniflowmatch": ("flow3r/teachers/ufm.py",),
    "timm": ("flow3r/model/",),
    "safetensors": ("flow3r/weights/files.py",),
    "PIL": ("flow3r/data/readers/images.py", "flow3r/inference/"),
    "OpenEXR": ("flow3r/data/readers/depth.py",),
    "trimesh": ("flow3r/inference/",),
    "rerun": ("flow3r/inference/",),
    "psutil": ("experiments/system_metrics.py",),
    "pynvml": ("experiments/system_metrics.py",),
    "rich": ("experiments/progress.py", "sweeps/"),
    "hydra": ("experiments/compose.py", "sweeps/"),
    "omegaconf": ("experiments/compose.py", "sweeps/"),
    "IPython": ("analysis/display.py",),
}
"""Heavy or optional: only inside functions (a library user or a bare GPU machine may lack them),
and only in files that begin like this."""

BARE_ENTRY_POINTS = ("experiments.train", "experiments.stage", "experiments.execute")
"""A training process needs only what flow3r needs."""


@dataclass(frozen=True)
class Import:
    path: str  # of the importing file, relative to the root
    line: int
    module: str  # dotted, absolute
    lazy: bool  # inside a function or under `if TYPE_CHECKING`

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.module}"


def _imports_of(source: str, path: str) -> Iterator[Import]:
    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            if isinstance(child, ast.Import):
                for name in child.names:
                    yield Import(path, child.lineno, name.name, lazy)
            elif isinstance(child, ast.ImportFrom):
                base = _absolute(path, child)
                for name in child.names:
                    # `from package import module` names a module; anything else is cut again later.
                    yield Import(path, child.lineno, f"{base}.{name.name}", lazy)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                yield from visit(ast.Module(child.body, []), True)
                yield from visit(ast.Module(child.orelse, []), lazy)
            else:
                yield from visit(child, inside)

    yield from visit(ast.parse(source, path), False)


def _absolute(path: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parents = Path(path).parts[: -node.level]
    return ".".join((*parents, *([node.module] if node.module else [])))


@cache
def _all_imports() -> tuple[Import, ...]:
    return tuple(
        found
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        for found in _imports_of(file.read_text(encoding="utf-8"), str(file.relative_to(ROOT)))
    )


def _package(found: Import) -> str:
    return Path(found.path).parts[0]


def _third_party(found: Import) -> bool:
    return found.top not in PACKAGES and found.top not in sys.stdlib_module_names


def _report(wrong: list[Import], rule: str) -> None:
    assert not wrong, rule + ":\n" + "\n".join(map(str, wrong))


def test_packages_import_downward_only():
    wrong = [
        found
        for found in _all_imports()
        if found.top in PACKAGES
        and found.top not in BELOW[_package(found)] | {_package(found)}
        and not (found.lazy and (found.path, found.module) in HAND_OVER)
    ]
    _report(wrong, "imports go analysis/sweeps -> experiments -> flow3r")


@pytest.mark.parametrize("package", sorted(THIRD_PARTY))
def test_third_party_packages(package):
    wrong = [
        found
        for found in _all_imports()
        if _package(found) == package
        and _third_party(found)
        and found.top not in THIRD_PARTY[package]
        and not (found.top in LAZY_ONLY and found.path.startswith(LAZY_ONLY[found.top]))
    ]
    _report(wrong, f"{package} may import {sorted(THIRD_PARTY[package])}")


def test_heavy_packages_are_imported_inside_functions_of_their_own_files():
    wrong = [
        found
        for found in _all_imports()
        if found.top in LAZY_ONLY
        and not (found.path.startswith(LAZY_ONLY[found.top]) and found.lazy)
    ]
    _report(wrong, f"only inside functions, only in {LAZY_ONLY}")


def test_matplotlib_is_imported_inside_functions():
    wrong = [f for f in _all_imports() if f.top in ("matplotlib", "seaborn") and not f.lazy]
    _report(wrong, "plotting libraries take a second to import: inside functions")


def test_rooms_of_flow3r_import_downward_only():
    wrong = []
    for found in _all_imports():
        here, there = Path(found.path).parts[:2], found.module.split(".")
        if here[0] != "flow3r" or there[0] != "flow3r" or len(there) < 2:
            continue
        room = here[1] if here[1] in ROOMS else None
        allowed = {room} | ROOMS[room] if room else set()
        if there[1] in ROOMS and there[1] not in allowed:
            wrong.append(found)
    _report(wrong, f"inside flow3r a room may import {ROOMS}")


def test_every_room_has_a_rule():
    rooms = {path.parent.name for path in (ROOT / "flow3r").glob("*/__init__.py")}
    assert rooms == set(ROOMS)


@cache
def _modules() -> dict[str, str]:
    """Dotted name -> path of every module."""
    result = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            path = file.relative_to(ROOT)
            parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
            result[".".join(parts)] = str(path)
    return result


def _module_of(name: str) -> str | None:
    """The own module that `import name` or `from ... import` loads, or None."""
    while name and name not in _modules():
        name = name.rpartition(".")[0]
    return name or None


def _loaded_by(module: str) -> dict[str, Import | None]:
    """Every module, own and foreign, that importing `module` loads, and the import that does it."""
    loaded: dict[str, Import | None] = {}
    waiting: list[tuple[str, Import | None]] = [(module, None)]
    while waiting:
        name, cause = waiting.pop()
        if name in loaded:
            continue
        loaded[name] = cause
        for found in _all_imports():
            if found.path != _modules().get(name) or found.lazy:
                continue
            own = _module_of(found.module)
            waiting.append((own or found.top, found))
            # importing a.b.c runs a/__init__.py and a/b/__init__.py
            parts = own.split(".") if own else []
            waiting += [(".".join(parts[:n]), found) for n in range(1, len(parts))]
    return loaded


def test_analysis_loads_no_torch():
    analysis = [name for name in _modules() if name.startswith("analysis")]
    for name in analysis:
        assert "torch" not in (loaded := _loaded_by(name)), f"{name}: {loaded['torch']}"


def test_flow3r_itself_loads_no_torch():
    assert "torch" not in _loaded_by("flow3r")


def _bare() -> list[str]:
    return [
        name
        for name in _modules()
        if name in BARE_ENTRY_POINTS or name.startswith(("experiments.work", "flow3r"))
    ]


def test_a_training_process_loads_only_the_dependencies_of_flow3r():
    for name in _bare():
        loaded = _loaded_by(name)
        foreign = set(loaded) - set(_modules()) - set(sys.stdlib_module_names)
        assert foreign <= NUMERIC, {n: str(loaded[n]) for n in sorted(foreign - NUMERIC)}


def test_modules_import_each_other_without_cycles():
    edges: dict[str, set[str]] = {name: set() for name in _modules()}
    by_path = {path: name for name, path in _modules().items()}
    for found in _all_imports():
        own = _module_of(found.module)
        if own and not found.lazy:
            edges[by_path[found.path]].add(own)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "import cycle: " + " -> ".join((*trail, name))
        if name not in done:
            for other in sorted(edges[name] - {name}):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(edges):
        visit(name, ())


def test_the_reader_sees_every_kind_of_import():
    source = """
import os, torch.nn
from flow3r import errors
from . import sibling
from ..geometry.se3 import inverse
if TYPE_CHECKING:
    import pandas
class A:
    import early
    def f(self):
        import av
try:
    import optional
except ImportError:
    pass
"""
    found = [(f.module, f.lazy) for f in _imports_of(source, "flow3r/losses/x.py")]
    assert found == [
        ("os", False),
        ("torch.nn", False),
        ("flow3r.errors", False),
        ("flow3r.losses.sibling", False),
        ("flow3r.geometry.se3.inverse", False),
        ("pandas", True),
        ("early", False),
        ("av", True),
        ("optional", False),
    ]
