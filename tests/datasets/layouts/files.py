"""Writing pictures, numbers and poses in the encodings that several layouts share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def save_image(path: Path, image: np.ndarray, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


def save_codes(path: Path, values: np.ndarray) -> None:
    """A 16-bit PNG of whole numbers."""
    assert values.min() >= 0
    assert values.max() <= 65535
    save_image(path, np.rint(values).astype(np.uint16))


def save_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def save_rows(path: Path, rows: np.ndarray, digits: int = 17) -> None:
    """Numbers, a line per row."""
    lines = (" ".join(f"{value:.{digits}g}" for value in row) for row in np.atleast_2d(rows))
    save_text(path, "\n".join(lines) + "\n")


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """(x, y, z, w) of a rotation [3, 3], by its eigenvector of eigenvalue 1 (Bar-Itzhack)."""
    r = rotation
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    return np.linalg.eigh(k / 3)[1][:, -1]


def somewhere() -> np.ndarray:
    """A world frame far from the first camera's: loaders must not rely on the identity."""
    a, b = 0.7, -0.4
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    pose = np.eye(4)
    pose[:3, :3] = turn_z @ turn_x
    pose[:3, 3] = [1.5, -2.25, 0.75]
    return pose
