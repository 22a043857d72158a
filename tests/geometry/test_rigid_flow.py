"""Rigid flow and the released flow convention."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from flow3r.geometry.camera import pixel_grid, unproject
from flow3r.geometry.flow import ndc_from_px, px_from_ndc, rigid_target_px
from flow3r.geometry.se3 import make_transform

K = torch.tensor([[20.0, 0, 7.5], [0, 20.0, 5.5], [0, 0, 1]], dtype=torch.float64)


def _points(batch: int = 1, pairs: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    depth = 2 + torch.rand(batch, pairs, 12, 16, generator=generator, dtype=torch.float64)
    return unproject(depth, K)


def _pose(vector: list[float], translation: list[float]) -> torch.Tensor:
    rotation = torch.from_numpy(Rotation.from_rotvec(vector).as_matrix())
    return make_transform(rotation, torch.tensor(translation, dtype=torch.float64))[None, None]


def test_no_motion_is_the_pixel_grid():
    target, in_front = rigid_target_px(_points(), _pose([0, 0, 0], [0, 0, 0]), K[None, None])
    torch.testing.assert_close(target[0, 0], pixel_grid(12, 16, dtype=torch.float64))
    assert in_front.all()


def test_sideways_motion_is_disparity():
    points = _points()
    target, _ = rigid_target_px(points, _pose([0, 0, 0], [0.3, 0, 0]), K[None, None])
    flow = target[0, 0] - pixel_grid(12, 16, dtype=torch.float64)
    torch.testing.assert_close(flow[..., 0], 20 * 0.3 / points[0, 0, ..., 2])
    torch.testing.assert_close(flow[..., 1], torch.zeros_like(flow[..., 1]))


def test_rotation_is_a_homography_for_every_depth():
    pose = _pose([0.1, -0.2, 0.05], [0, 0, 0])
    target, _ = rigid_target_px(_points(), pose, K[None, None])
    homography = K @ pose[0, 0, :3, :3] @ torch.linalg.inv(K)
    grid = pixel_grid(12, 16, dtype=torch.float64)
    mapped = torch.cat([grid, torch.ones(12, 16, 1, dtype=torch.float64)], -1) @ homography.T
    torch.testing.assert_close(target[0, 0], mapped[..., :2] / mapped[..., 2:])


def test_every_pair_uses_its_own_pose_and_intrinsics():
    points = _points(2, 3)
    generator = torch.Generator().manual_seed(1)
    rotation = torch.from_numpy(Rotation.random(6, random_state=0).as_matrix()).reshape(2, 3, 3, 3)
    shift = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    poses = make_transform(rotation, shift)
    intrinsics = K.expand(2, 3, 3, 3) * torch.tensor([1.0, 1.5, 2.0])[None, :, None, None]
    intrinsics = intrinsics / intrinsics[..., 2:, 2:]
    target, in_front = rigid_target_px(points, poses, intrinsics)
    one, front = rigid_target_px(points[1:, 2:], poses[1:, 2:], intrinsics[1:, 2:])
    torch.testing.assert_close(target[1, 2], one[0, 0])
    assert torch.equal(in_front[1, 2], front[0, 0])


def test_points_behind_the_target_camera_are_masked_and_finite():
    points = _points().requires_grad_()
    target, in_front = rigid_target_px(points, _pose([0, 0, 0], [0, 0, -2.5]), K[None, None])
    assert torch.equal(in_front, points[..., 2] > 2.55)
    assert 0 < in_front.sum() < in_front.numel()
    assert torch.isfinite(target).all()
    target.sum().backward()
    assert torch.isfinite(points.grad).all()


def test_gradient():
    points = _points()[:, :, :3, :3].contiguous().requires_grad_()
    pose = _pose([0.1, 0, 0.2], [0.1, 0.2, 0.1]).requires_grad_()
    intrinsics = K[None, None].clone().requires_grad_()
    assert gradcheck(lambda *x: rigid_target_px(*x)[0], (points, pose, intrinsics))


def test_released_convention_at_the_corners_and_back():
    size = (12, 16)
    corners = torch.tensor([[0.0, 0.0], [15.0, 11.0], [7.5, 5.5]])
    expected = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]])
    torch.testing.assert_close(ndc_from_px(corners, size), expected)
    pixels = 30 * torch.randn(5, 2)
    torch.testing.assert_close(px_from_ndc(ndc_from_px(pixels, size), size), pixels)
    with pytest.raises(ValueError, match="at least 2"):
        ndc_from_px(pixels, (1, 8))
