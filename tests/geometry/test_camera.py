"""Projection, unprojection, resizing and recovery of intrinsics."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from flow3r.geometry.camera import (
    MIN_DEPTH,
    pixel_grid,
    project,
    recover_intrinsics,
    resize_intrinsics,
    unproject,
)

K = torch.tensor([[40.0, 0.7, 9.2], [0.0, 38.0, 6.1], [0.0, 0.0, 1.0]], dtype=torch.float64)


def _depth(*shape: int) -> torch.Tensor:
    return 1 + 3 * torch.rand(*shape, dtype=torch.float64)


def test_pixel_grid_is_x_then_y():
    grid = pixel_grid(2, 3)
    assert grid.shape == (2, 3, 2)
    assert grid[1, 2].tolist() == [2.0, 1.0]


def test_unproject_inverts_the_matrix():
    depth = _depth(12, 16)
    grid = pixel_grid(12, 16, dtype=torch.float64)
    homogeneous = torch.cat([grid, torch.ones(12, 16, 1, dtype=torch.float64)], dim=-1)
    expected = (homogeneous @ torch.linalg.inv(K).T) * depth[..., None]
    torch.testing.assert_close(unproject(depth, K), expected)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_project_undoes_unproject_for_any_leading_shape(shape):
    scale = 1 + 0.1 * torch.arange(max(1, torch.Size(shape).numel())).reshape(*shape, 1, 1)
    intrinsics = K * torch.where(torch.eye(3, 3).bool() & (torch.arange(3) < 2), scale, 1.0)
    depth = _depth(*shape, 12, 16)
    pixels, z = project(unproject(depth, intrinsics), intrinsics)
    torch.testing.assert_close(pixels, pixel_grid(12, 16, dtype=torch.float64).expand_as(pixels))
    torch.testing.assert_close(z, depth)


def test_project_is_finite_at_and_behind_the_camera():
    points = torch.tensor([[1.0, 2.0, 0.0], [1.0, 2.0, -3.0], [0.0, 0.0, 0.0]], requires_grad=True)
    pixels, z = project(points, K.float())
    assert torch.isfinite(pixels).all()
    assert z.tolist() == [0.0, -3.0, 0.0]
    torch.testing.assert_close(pixels[0], pixels[1])  # both divided by MIN_DEPTH
    assert pixels[0, 1].item() == pytest.approx(38.0 * 2 / MIN_DEPTH + 6.1, rel=1e-6)
    pixels.sum().backward()
    assert torch.isfinite(points.grad).all()


def test_zero_depth_unprojects_to_the_origin():
    assert unproject(torch.zeros(4, 5), K.float()).abs().max() == 0


def test_resized_intrinsics_keep_the_ray_of_every_image_position():
    size, half = (12, 16), (6, 4)
    small = resize_intrinsics(K, size, half)
    # the outer corner of the image and its centre are the same rays before and after
    for fraction in (torch.tensor([0.0, 0.0]), torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.25])):
        rays = []
        for intrinsics, (height, width) in ((K, size), (small, half)):
            pixel = fraction * torch.tensor([width, height]) - 0.5
            homogeneous = torch.cat([pixel, torch.ones(1)]).double()
            rays.append(torch.linalg.solve(intrinsics, homogeneous))
        torch.testing.assert_close(rays[0], rays[1])


def test_resize_there_and_back():
    batch = K.expand(2, 3, 3, 3)
    back = resize_intrinsics(resize_intrinsics(batch, (12, 16), (30, 20)), (30, 20), (12, 16))
    torch.testing.assert_close(back, batch)


def test_recovers_the_intrinsics_of_a_centred_camera_exactly():
    true = torch.tensor([[21.0, 0, 7.5], [0, 17.0, 5.5], [0, 0, 1]], dtype=torch.float64)
    points = unproject(_depth(2, 3, 12, 16), true)
    torch.testing.assert_close(recover_intrinsics(points), true.expand(2, 3, 3, 3))


def test_recovery_is_the_least_squares_solution_for_noisy_points():
    points = unproject(_depth(12, 16), K) + 0.1 * torch.randn(12, 16, 3, dtype=torch.float64)
    grid = pixel_grid(12, 16, dtype=torch.float64)
    recovered = recover_intrinsics(points)
    for axis, centre in ((0, 7.5), (1, 5.5)):
        ratio = (points[..., axis] / points[..., 2]).reshape(-1, 1)
        offset = (grid[..., axis] - centre).reshape(-1, 1)
        expected = torch.linalg.lstsq(ratio, offset).solution[0, 0]
        torch.testing.assert_close(recovered[axis, axis], expected)


def test_recovery_ignores_points_behind_the_camera():
    true = torch.tensor([[21.0, 0, 7.5], [0, 17.0, 5.5], [0, 0, 1]], dtype=torch.float64)
    points = unproject(_depth(12, 16), true)
    points[3, 4] = torch.tensor([5.0, 1.0, -1.0])
    points[0, 0] = 0.0
    torch.testing.assert_close(recover_intrinsics(points), true)


def test_recovery_gradient():
    points = unproject(_depth(4, 5), K).requires_grad_()
    assert gradcheck(recover_intrinsics, points)
    for bad in (torch.zeros(4, 5, 3), -torch.ones(4, 5, 3)):
        bad.requires_grad_()
        recovered = recover_intrinsics(bad)
        recovered.sum().backward()
        assert recovered[0, 0] == 0
        assert torch.isfinite(bad.grad).all()
