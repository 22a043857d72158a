"""Text files full of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow3r.errors import DataError


def read_lines(path: Path) -> list[tuple[int, str]]:
    """(number counted from 1, text) of the lines that are neither empty nor comments (#)."""
    return [(n, line) for n, line in numbered_lines(path) if line and not line.startswith("#")]


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """(number counted from 1, text without blanks around it) of every line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a text file ({error})") from error
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1)]


def read_table(path: Path, columns: int) -> np.ndarray:
    """float64 [rows, columns] of numbers separated by blanks or commas; NaN and inf are kept.

    Raises DataError naming the file and the line for anything else.
    """
    rows = [_row(path, n, line, columns) for n, line in read_lines(path)]
    return np.array(rows, dtype=np.float64).reshape(-1, columns)


def read_matrix(path: Path, rows: int, columns: int) -> np.ndarray:
    """float64 [rows, columns]; DataError where the file has another number of numbers."""
    found = [v for n, line in read_lines(path) for v in _row(path, n, line, None)]
    if len(found) != rows * columns:
        raise DataError(f"{path}: {len(found)} numbers, not a {rows} x {columns} matrix")
    return np.array(found, dtype=np.float64).reshape(rows, columns)


def _row(path: Path, number: int, line: str, columns: int | None) -> list[float]:
    words = line.replace(",", " ").split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise DataError(f"{path}, line {number}: {line[:60]!r} is not a row of numbers") from None
    if columns is not None and len(values) != columns:
        raise DataError(f"{path}, line {number}: {len(values)} numbers, not {columns}")
    return values
