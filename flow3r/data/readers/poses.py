"""Camera poses in text files. Axes and direction are those of the file: see `axes` to convert."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow3r.data.readers.axes import rotation_from_quaternion
from flow3r.data.readers.numbers import read_matrix, read_table
from flow3r.errors import DataError

_CAM_TAG = 202021.25


@dataclass(frozen=True)
class Trajectory:
    """Poses with their times, in order of time."""

    seconds: np.ndarray  # [N] float64
    world_from_camera: np.ndarray  # [N, 4, 4] float64

    def nearest(self, seconds: float, tolerance: float) -> np.ndarray | None:
        """The pose [4, 4] nearest in time, or None if none is within `tolerance` seconds."""
        if not len(self.seconds):
            return None
        index = int(np.abs(self.seconds - seconds).argmin())
        if abs(self.seconds[index] - seconds) > tolerance:
            return None
        return self.world_from_camera[index]


def read_tum(path: Path) -> Trajectory:
    """TUM's format: a line `seconds tx ty tz qx qy qz qw` per pose, camera to world.

    Quaternions are normalised. Raises DataError for a zero one and for times that go backwards.
    """
    table = read_table(path, 8)
    if not len(table):
        raise DataError(f"{path}: no pose; expected lines of seconds tx ty tz qx qy qz qw")
    if (np.diff(table[:, 0]) < 0).any():
        row = int((np.diff(table[:, 0]) < 0).argmax()) + 1
        raise DataError(f"{path}: time goes backwards at pose {row} ({table[row, 0]} s)")
    norms = np.linalg.norm(table[:, 4:], axis=1)
    if (norms < 1e-6).any():
        raise DataError(f"{path}: quaternion of pose {int((norms < 1e-6).argmax())} is zero")
    return Trajectory(table[:, 0], rigid(rotation_from_quaternion(table[:, 4:]), table[:, 1:4]))


def read_pose(path: Path) -> np.ndarray:
    """One 4x4 matrix [4, 4], in rows or flattened. Values are not checked: datasets mark lost
    tracking by NaN or infinite ones."""
    return read_matrix(path, 4, 4)


def read_pose_lines(path: Path) -> np.ndarray:
    """A flattened 4x4 matrix per line -> [N, 4, 4]."""
    return read_table(path, 16).reshape(-1, 4, 4)


def read_pose_blocks(path: Path) -> np.ndarray:
    """Four lines of four numbers per pose, one pose after the other -> [N, 4, 4]."""
    rows = read_table(path, 4)
    if len(rows) % 4:
        raise DataError(f"{path}: {len(rows)} rows, not a multiple of 4")
    return rows.reshape(-1, 4, 4)


def read_kitti(path: Path) -> np.ndarray:
    """KITTI's format: a flattened 3x4 matrix per line, camera to world -> [N, 4, 4]."""
    top = read_table(path, 12).reshape(-1, 3, 4)
    return rigid(top[..., :3], top[..., 3])


def read_cam(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Sintel's .cam: float32 tag 202021.25, float64 3x3 intrinsics and 3x4 world to camera.

    Returns intrinsics [3, 3] and camera_from_world [4, 4].
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) != 4 + 8 * 21 or np.frombuffer(content[:4], "<f4")[0] != np.float32(_CAM_TAG):
        raise DataError(f"{path}: {len(content)} bytes, not Sintel's tag {_CAM_TAG} and 21 float64")
    values = np.frombuffer(content[4:], "<f8")
    extrinsics = values[9:].reshape(3, 4)
    return values[:9].reshape(3, 3).copy(), rigid(extrinsics[:, :3], extrinsics[:, 3])


def rigid(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """[..., 3, 3] and [..., 3] -> [..., 4, 4] float64."""
    pose = np.zeros((*np.shape(translation)[:-1], 4, 4))
    pose[..., :3, :3], pose[..., :3, 3], pose[..., 3, 3] = rotation, translation, 1.0
    return pose
