"""Calibrations as 3x3 matrices, in pixels whose centres are integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow3r.data.readers.numbers import read_lines, read_matrix
from flow3r.errors import DataError


def pinhole(focal_x: float, focal_y: float, centre_x: float, centre_y: float) -> np.ndarray:
    """Intrinsics [3, 3] float64 from focal lengths and a principal point in pixels."""
    return np.array([[focal_x, 0, centre_x], [0, focal_y, centre_y], [0, 0, 1.0]])


def from_corner_origin(intrinsics: np.ndarray) -> np.ndarray:
    """From the convention whose first pixel's centre is (0.5, 0.5) (COLMAP, nerfstudio) to ours."""
    moved = np.array(intrinsics, dtype=np.float64)
    moved[..., :2, 2] -= 0.5
    return moved


def read_intrinsics(path: Path) -> np.ndarray:
    """Intrinsics [3, 3] from a 3x3 or 4x4 matrix or a line `fx fy cx cy [...]` in a text file.

    The numbers are taken as they stand. Raises DataError where they are no pinhole calibration.
    """
    count = _count(path)
    if count == 9:
        found = read_matrix(path, 3, 3)
    elif count == 16:
        found = read_matrix(path, 4, 4)[:3, :3]
    elif count == 4:
        found = pinhole(*read_matrix(path, 1, 4)[0])
    else:
        raise DataError(f"{path}: {count} numbers, not a 3x3 or 4x4 matrix or fx fy cx cy")
    return checked_intrinsics(found, str(path))


def checked_intrinsics(intrinsics: np.ndarray, where: str) -> np.ndarray:
    """The matrix, if it is one of a pinhole camera; DataError starting with `where` otherwise."""
    k = np.asarray(intrinsics, dtype=np.float64)
    fits = k.shape == (3, 3) and np.isfinite(k).all()
    if not fits or k[0, 0] <= 0 or k[1, 1] <= 0 or not np.allclose(k[2], (0, 0, 1)) or k[1, 0]:
        raise DataError(
            f"{where}: {np.array2string(k, precision=4)} is no pinhole calibration "
            "[[fx, s, cx], [0, fy, cy], [0, 0, 1]] with positive focal lengths"
        )
    return k


def _count(path: Path) -> int:
    return sum(len(line.replace(",", " ").split()) for _, line in read_lines(path))
