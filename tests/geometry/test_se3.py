"""Rigid transforms against homogeneous matrices and scipy."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from flow3r.geometry.se3 import (
    inverse,
    make_transform,
    relative_pose,
    rotation_angle,
    transform_points,
)


def _transforms(count: int, seed: int = 0) -> torch.Tensor:
    rotation = torch.from_numpy(Rotation.random(count, random_state=seed).as_matrix())
    generator = torch.Generator().manual_seed(seed)
    return make_transform(rotation, torch.randn(count, 3, generator=generator, dtype=torch.float64))


def test_inverse_is_the_matrix_inverse():
    transform = _transforms(10)
    torch.testing.assert_close(inverse(transform), torch.linalg.inv(transform))


def test_transform_points_broadcasts():
    transform = _transforms(4).reshape(4, 1, 4, 4)
    points = torch.randn(5, 7, 3, dtype=torch.float64)
    homogeneous = torch.cat([points, torch.ones(5, 7, 1, dtype=torch.float64)], dim=-1)
    expected = torch.einsum("aij,bkj->abki", transform[:, 0], homogeneous)[..., :3]
    torch.testing.assert_close(transform_points(transform, points), expected)


def test_relative_pose_takes_b_to_a():
    world_from_a, world_from_b = _transforms(3), _transforms(3, seed=1)
    in_b = torch.randn(3, 6, 3, dtype=torch.float64)
    in_world = transform_points(world_from_b, in_b)
    expected = transform_points(torch.linalg.inv(world_from_a), in_world)
    actual = transform_points(relative_pose(world_from_a, world_from_b), in_b)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("degrees", [0.0, 1e-3, 0.1, 30.0, 90.0, 179.0, 179.999, 180.0])
def test_rotation_angle_is_accurate_in_float32(degrees):
    vector = math.radians(degrees) * torch.tensor([0.36, 0.48, 0.8], dtype=torch.float64)
    rotation = torch.from_numpy(Rotation.from_rotvec(vector.numpy()).as_matrix()).float()
    assert math.degrees(rotation_angle(rotation)) == pytest.approx(degrees, abs=2e-5, rel=1e-4)


def test_rotation_angle_matches_scipy():
    rotations = Rotation.random(100, random_state=3)
    expected = torch.from_numpy(rotations.magnitude())
    torch.testing.assert_close(rotation_angle(torch.from_numpy(rotations.as_matrix())), expected)


def test_rotation_angle_gradient():
    rotations = torch.from_numpy(Rotation.random(8, random_state=0).as_matrix())
    assert gradcheck(rotation_angle, rotations.requires_grad_())
    extremes = torch.stack([torch.eye(3), torch.diag(torch.tensor([1.0, -1.0, -1.0]))])
    near = torch.from_numpy(
        Rotation.from_rotvec([[1e-6, 0, 0], [math.pi - 1e-6, 0, 0]]).as_matrix()
    )
    for rotation in (extremes, near.float()):
        rotation = rotation.clone().requires_grad_()
        rotation_angle(rotation).sum().backward()
        assert torch.isfinite(rotation.grad).all()
        assert rotation.grad.abs().max() < 2


def test_matrix_products_leave_autocast():
    transform, points = _transforms(2).float(), torch.randn(2, 100, 3)
    expected = transform_points(transform, points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = transform_points(transform, points)
        assert inverse(transform).dtype == torch.float32
    assert torch.equal(actual, expected)
