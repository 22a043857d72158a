"""Files named by the time at which they were taken, and what was taken at the same time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow3r.data.readers.numbers import read_lines
from flow3r.errors import DataError


def read_timed_files(listing: Path) -> tuple[np.ndarray, list[Path]]:
    """Seconds [N], rising, and files of a list of lines `seconds file` (TUM's rgb.txt).

    Files are relative to the list's folder. Raises DataError for odd lines and an empty list.
    """
    rows = []
    for number, line in read_lines(listing):
        words = line.split()
        try:
            rows.append((float(words[0]), listing.parent / words[1]))
        except (ValueError, IndexError):
            raise DataError(
                f"{listing}, line {number}: {line[:60]!r} is not a line of seconds and a file"
            ) from None
    if not rows:
        raise DataError(f"{listing}: lists no file; expected lines of seconds and a file")
    rows.sort()
    return np.array([seconds for seconds, _ in rows]), [file for _, file in rows]


def seconds_in_name(path: Path) -> float:
    """The time that a file is named by. Raises DataError where its name is no number."""
    try:
        return float(path.stem)
    except ValueError:
        raise DataError(f"{path}: its name is not a time in seconds") from None


def nearest(times: np.ndarray, seconds: float, tolerance: float) -> int | None:
    """Index of the time nearest to `seconds`, or None if none is within `tolerance`."""
    if not len(times):
        return None
    index = int(np.abs(times - seconds).argmin())
    return index if abs(times[index] - seconds) <= tolerance else None
