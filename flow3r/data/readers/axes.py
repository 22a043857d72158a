"""Conversions of poses from other conventions to ours: OpenCV axes, camera to world, float64.

Every `opencv_from_*` takes camera-to-world poses [..., 4, 4] whose camera axes are the named ones
and changes the camera axes only: the world stays as the dataset has it, since only relative poses
count.
"""

from __future__ import annotations

import numpy as np


def opencv_from_opengl(world_from_camera: np.ndarray) -> np.ndarray:
    """From x right, y up, z backward (OpenGL, Blender, NeRF, ARKit)."""
    return _with_camera_axes(world_from_camera, np.diag([1.0, -1.0, -1.0]))


def opencv_from_ned(world_from_camera: np.ndarray) -> np.ndarray:
    """From x forward, y right, z down (AirSim, TartanAir)."""
    return _with_camera_axes(world_from_camera, np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]))


def opencv_from_pytorch3d(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """World from camera [..., 4, 4] of PyTorch3D's R [..., 3, 3] and T [..., 3].

    PyTorch3D maps row vectors of the world to the camera, x_camera = x_world R + T, with x left and
    y up; so camera_from_world = F [R^T | T] with F = diag(-1, -1, 1).
    """
    flip = np.array([-1.0, -1.0, 1.0])
    turned = np.swapaxes(np.asarray(rotation, dtype=np.float64), -1, -2) * flip[:, None]
    camera_from_world = np.zeros((*turned.shape[:-2], 4, 4))
    camera_from_world[..., :3, :3] = turned
    camera_from_world[..., :3, 3] = np.asarray(translation, dtype=np.float64) * flip
    camera_from_world[..., 3, 3] = 1.0
    return inverted(camera_from_world)


def inverted(pose: np.ndarray) -> np.ndarray:
    """The inverse of rigid motions [..., 4, 4]; NaN stays NaN."""
    rotation = np.swapaxes(pose[..., :3, :3], -1, -2)
    result = np.zeros_like(pose, dtype=np.float64)
    result[..., :3, :3] = rotation
    result[..., :3, 3] = -(rotation @ pose[..., :3, 3:])[..., 0]
    result[..., 3, 3] = 1.0
    return result


def rotation_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """[..., 4] (x, y, z, w; any length but zero) -> rotations [..., 3, 3]."""
    q = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    x, y, z, w = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _with_camera_axes(world_from_camera: np.ndarray, theirs_from_opencv: np.ndarray) -> np.ndarray:
    pose = np.array(world_from_camera, dtype=np.float64)
    pose[..., :3, :3] = pose[..., :3, :3] @ theirs_from_opencv
    return pose
