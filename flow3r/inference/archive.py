"""Depth and poses for other programs: one npz file, readable without pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow3r.files import write_atomically
from flow3r.inference.result import Reconstruction

ARRAYS = ("images", "depth", "confidence", "world_points", "world_from_camera", "intrinsics")


def write_archive(path: Path, result: Reconstruction) -> None:
    """Write the arrays of a reconstruction under their names there, atomically.

    `flow_px` is left out where there is none.
    """
    arrays = {name: getattr(result, name) for name in ARRAYS}
    arrays["names"] = np.array(result.names)
    if result.flow_px is not None:
        arrays["flow_px"] = result.flow_px

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # a file object: numpy would append .npz to a name
            np.savez_compressed(file, **arrays)

    write_atomically(Path(path), write)
