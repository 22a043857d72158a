"""Arrays as integers that compress well, and the zip file that holds them.

Values are rounded to steps, kept as 16-bit integers and differenced along the image rows. The
difference is taken modulo 2^16, so it always inverts.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import IO

import numpy as np

_LIMIT = 32767


def to_steps(values: np.ndarray, per_unit: float) -> np.ndarray:
    """Differenced steps, uint16, of values [..., W]; what lies beyond 32767 steps is clipped."""
    steps = np.clip(np.rint(values * per_unit), -_LIMIT, _LIMIT).astype(np.int16)
    return np.diff(steps.view(np.uint16), axis=-1, prepend=np.uint16(0))


def from_steps(differences: np.ndarray, per_unit: float) -> np.ndarray:
    """The rounded values, float64."""
    steps = np.cumsum(differences, axis=-1, dtype=np.uint16).view(np.int16)
    return steps.astype(np.float64) / per_unit


def write_npz(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """As numpy's savez_compressed, but with zlib's fastest level.

    On differenced arrays it takes an eighth of the time of numpy's level for 3 % more bytes;
    compression was a third of the evaluation of a small run.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
