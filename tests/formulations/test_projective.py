"""Projective flow on geometry that is known exactly."""

import pytest
import torch

from flow3r.errors import ConfigError
from flow3r.geometry.camera import pixel_grid, unproject
from flow3r.model.outputs import Geometry, Latents

PAIRS = torch.tensor([[0, 1], [1, 0]])


def wall(translation=(0.1, 0.0, 0.0), focal=40.0, depth=2.0, height=24, width=32):
    """Two cameras in front of a wall at constant depth, the second one moved."""
    intrinsics = torch.tensor(
        [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
    ).expand(1, 2, 3, 3)
    poses = torch.eye(4).repeat(1, 2, 1, 1)
    poses[0, 1, :3, 3] = torch.tensor(translation)
    depths = torch.full((1, 2, height, width), depth)
    depths[:, 1] -= translation[2]
    points = unproject(depths, intrinsics).requires_grad_()
    return Geometry(points, torch.zeros(1, 2, height, width), poses.requires_grad_()), intrinsics


def latents(height=24, width=32):
    return Latents((), (), torch.zeros(1, 2, 12, 4), (3, 4), (height, width))


@pytest.mark.parametrize("intrinsics", ["recovered", "given"])
def test_sideways_motion_in_front_of_a_wall(build, intrinsics):
    geometry, true = wall()
    head = build("flow-projective", intrinsics=intrinsics).formulation
    flow = head(latents(), geometry, PAIRS, true if intrinsics == "given" else None)
    shift = torch.tensor([40.0 * 0.1 / 2.0, 0.0])  # f * t / z
    torch.testing.assert_close(flow.target_px[0, 0], pixel_grid(24, 32) - shift)
    torch.testing.assert_close(flow.target_px[0, 1], pixel_grid(24, 32) + shift)
    assert flow.valid.all()


def test_walking_towards_the_wall_expands_about_the_centre(build):
    geometry, _ = wall(translation=(0.0, 0.0, 1.0))
    flow = build("flow-projective").formulation(latents(), geometry, PAIRS, None)
    centre = torch.tensor([15.5, 11.5])
    expected = centre + (pixel_grid(24, 32) - centre) * 2.0
    torch.testing.assert_close(flow.target_px[0, 0], expected)


def test_points_behind_the_target_are_invalid_clamped_and_finite(build):
    geometry, _ = wall(translation=(0.3, 0.0, 3.0))
    flow = build("flow-projective", limit=2.0).formulation(latents(), geometry, PAIRS, None)
    assert not flow.valid[0, 0].any()
    size = torch.tensor([32.0, 24.0])
    assert (flow.target_px >= -2 * size).all()
    assert (flow.target_px <= 3 * size).all()
    flow.target_px.square().mean().backward()
    assert geometry.local_points.grad.isfinite().all()
    assert geometry.world_from_camera.grad.isfinite().all()


def test_gradients_reach_points_and_both_poses(build):
    geometry, _ = wall()
    flow = build("flow-projective").formulation(latents(), geometry, PAIRS[:1], None)
    flow.target_px.square().mean().backward()
    assert (geometry.local_points.grad[0].flatten(1).abs().sum(1) > 0).all()  # frame 1: focal
    assert (geometry.world_from_camera.grad[0].flatten(1).abs().sum(1) > 0).all()


def test_given_intrinsics_must_be_given(build):
    geometry, _ = wall()
    with pytest.raises(ConfigError, match=r"intrinsics='given'.*recovered"):
        build("flow-projective", intrinsics="given").formulation(latents(), geometry, PAIRS, None)
