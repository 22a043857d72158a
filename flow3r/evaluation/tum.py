"""Predicted trajectories as text in the TUM format; `flow3r.data.readers.poses` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from flow3r.files import write_text


def write_tum(path: Path, world_from_camera: np.ndarray, times: Sequence[float]) -> None:
    """Write `time tx ty tz qx qy qz qw` per pose of [N, 4, 4], atomically.

    Times are seconds, or frame numbers where there are none.
    """
    quaternions = Rotation.from_matrix(world_from_camera[:, :3, :3]).as_quat()  # scalar last
    rows = np.column_stack([np.asarray(times, float), world_from_camera[:, :3, 3], quaternions])
    lines = [" ".join(f"{value:.9g}" for value in row) for row in rows]
    write_text(path, "\n".join(["# time tx ty tz qx qy qz qw", *lines]) + "\n")
