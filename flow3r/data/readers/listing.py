"""Finding a scene's files: in natural order, counted, with clear words about what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from flow3r.data.readers.numbers import read_lines
from flow3r.errors import DataError


def natural(path: Path) -> tuple:
    """Sorting key: runs of digits by their value, so that img2 comes before img10."""
    parts = re.split(r"(\d+)", path.as_posix())
    return tuple(int(part) if part.isdigit() else part for part in parts)


def files_in(folder: Path, *patterns: str) -> list[Path]:
    """The files that match one of the patterns, in natural order.

    Raises DataError naming the folder and the patterns where there is none.
    """
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    if not found:
        state = "holds no" if folder.is_dir() else "is missing; expected it to hold"
        raise DataError(f"{folder}: {state} {' or '.join(patterns)}")
    return sorted(found, key=natural)


def folders_in(root: Path, *patterns: str) -> list[str]:
    """Folders below `root` that match one of the patterns, relative to it, in natural order."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_dir()}
    return [path.relative_to(root).as_posix() for path in sorted(found, key=natural)]


def same_count(what: str, found: Sequence, expected: str, files: Sequence) -> None:
    """DataError unless there is one of `what` for every one of the `expected`."""
    if len(found) != len(files):
        raise DataError(f"{what}: {len(found)}, but {len(files)} {expected}")


def read_names(path: Path) -> list[str]:
    """One name per line of a list. Raises DataError."""
    return [line for _, line in read_lines(path)]


def listed_splits(candidates: Iterable[tuple[str, Path]]) -> dict[str, tuple[str, ...]]:
    """Split -> names, of those split lists whose file is there."""
    return {split: tuple(read_names(path)) for split, path in candidates if path.is_file()}
