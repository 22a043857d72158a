"""Poses: formats, axes, directions; against SciPy and against points."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow3r.data.readers import axes, poses
from flow3r.errors import DataError

ROTATIONS = Rotation.random(6, rng=np.random.default_rng(0))
POSES = poses.rigid(ROTATIONS.as_matrix(), np.random.default_rng(1).normal(size=(6, 3)))
POINT = np.array([0.3, -0.7, 2.0, 1.0])  # right, up and ahead, in OpenCV axes


def test_tum_trajectories(tmp_path):
    path = tmp_path / "t.txt"
    rows = np.hstack([np.arange(6)[:, None] * 0.5, POSES[:, :3, 3], ROTATIONS.as_quat()])
    text = "\n".join(" ".join(f"{v:.17g}" for v in row) for row in rows)
    path.write_text("# timestamp tx ty tz qx qy qz qw\n" + text + "\n")
    trajectory = poses.read_tum(path)
    np.testing.assert_allclose(trajectory.world_from_camera, POSES, atol=1e-12)
    assert trajectory.nearest(1.02, 0.05) is trajectory.world_from_camera[2] or np.array_equal(
        trajectory.nearest(1.02, 0.05), trajectory.world_from_camera[2]
    )
    assert trajectory.nearest(1.2, 0.05) is None
    path.write_text("0 0 0 0 0 0 0 0\n")
    with pytest.raises(DataError, match="quaternion of pose 0 is zero"):
        poses.read_tum(path)
    path.write_text("1 0 0 0 0 0 0 1\n0.5 0 0 0 0 0 0 1\n")
    with pytest.raises(DataError, match="time goes backwards at pose 1"):
        poses.read_tum(path)
    path.write_text("1 0 0 0 0 0 1\n")
    with pytest.raises(DataError, match="line 1: 7 numbers, not 8"):
        poses.read_tum(path)


def test_matrices_in_text(tmp_path):
    path = tmp_path / "p.txt"
    np.savetxt(path, POSES[0], fmt="%.17g")
    np.testing.assert_array_equal(poses.read_pose(path), POSES[0])
    np.savetxt(path, POSES.reshape(-1, 16), fmt="%.17g")
    np.testing.assert_array_equal(poses.read_pose_lines(path), POSES)
    np.savetxt(path, POSES.reshape(-1, 4), fmt="%.17g")
    np.testing.assert_array_equal(poses.read_pose_blocks(path), POSES)
    np.savetxt(path, POSES[:, :3].reshape(-1, 12), fmt="%.17g")
    np.testing.assert_array_equal(poses.read_kitti(path), POSES)
    np.savetxt(path, POSES.reshape(-1, 4)[:-1], fmt="%.17g")
    with pytest.raises(DataError, match="23 rows, not a multiple of 4"):
        poses.read_pose_blocks(path)
    path.write_text("1 0 0 0\n0 1 0 zero\n")
    with pytest.raises(DataError, match="line 2: '0 1 0 zero' is not a row"):
        poses.read_pose(path)
    path.write_text("-inf " * 16)
    assert np.isneginf(poses.read_pose(path)).all()


def test_sintel_cameras(tmp_path):
    path = tmp_path / "c.cam"
    k = np.array([[688.0, 0, 511.5], [0, 688, 217.5], [0, 0, 1]])
    path.write_bytes(np.float32(202021.25).tobytes() + k.tobytes() + POSES[0, :3].tobytes())
    read_k, camera_from_world = poses.read_cam(path)
    assert np.array_equal(read_k, k)
    assert np.array_equal(camera_from_world, POSES[0])
    path.write_bytes(b"1234")
    with pytest.raises(DataError, match="4 bytes, not Sintel's tag"):
        poses.read_cam(path)


def test_axes_name_the_same_point():
    """A point ahead of the camera, written in each convention, is the same point of the world."""
    expected = POSES @ POINT
    x, y, z = POINT[:3]
    opengl = POSES.copy()
    opengl[:, :3, 1:3] *= -1
    np.testing.assert_allclose(opengl @ [x, -y, -z, 1], expected)
    np.testing.assert_allclose(axes.opencv_from_opengl(opengl), POSES)
    ned = POSES.copy()
    ned[:, :3, :3] = POSES[:, :3, :3] @ np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_allclose(ned @ [z, x, y, 1], expected)
    np.testing.assert_allclose(axes.opencv_from_ned(ned), POSES)


def test_pytorch3d_maps_rows_of_the_world_to_the_left_and_up():
    camera_from_world = np.linalg.inv(POSES)
    flip = np.diag([-1.0, -1, 1])
    rotation = np.swapaxes(flip @ camera_from_world[:, :3, :3], -1, -2)
    translation = camera_from_world[:, :3, 3] @ flip
    world = (POSES @ POINT)[:, None, :3]
    seen = (world @ rotation)[:, 0] + translation
    np.testing.assert_allclose(seen, np.tile([-POINT[0], -POINT[1], POINT[2]], (6, 1)))
    np.testing.assert_allclose(axes.opencv_from_pytorch3d(rotation, translation), POSES, atol=1e-12)


def test_inverse_and_quaternions():
    np.testing.assert_allclose(axes.inverted(POSES), np.linalg.inv(POSES), atol=1e-12)
    quaternions = ROTATIONS.as_quat() * np.array([[1], [-1], [2], [0.1], [1], [5]])
    np.testing.assert_allclose(
        axes.rotation_from_quaternion(quaternions), ROTATIONS.as_matrix(), atol=1e-12
    )
