"""Losses of a model that predicts world points of its own: known answers and a slow reference."""

from dataclasses import replace

import pytest
import torch

from flow3r.data.clip import LabelledClips, PairFlow
from flow3r.geometry.camera import unproject
from flow3r.geometry.rotation import rotation_from_nine
from flow3r.geometry.se3 import inverse, make_transform
from flow3r.losses.alignment import aligned_prediction, normalised_target
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.losses.world_points import world_points_loss
from flow3r.model.outputs import Geometry

B, N, H, W = 2, 3, 5, 6
CONFIG = LossConfig(confidence_weight=0.0, normals_weight=0.0)


def poses() -> torch.Tensor:
    nine = torch.eye(3).flatten() + 0.3 * torch.randn(B, N, 9)
    return make_transform(rotation_from_nine(nine), torch.randn(B, N, 3))


@pytest.fixture
def labels() -> LabelledClips:
    intrinsics = torch.tensor([[6.0, 0, 2.5], [0, 6, 2], [0, 0, 1]]).expand(B, N, 3, 3)
    depth = 1 + torch.rand(B, N, H, W)
    depth[0, 1, 2, 3] = 0  # no measurement
    flow = PairFlow(torch.zeros(0, 2).long(), torch.zeros(B, 0, H, W, 2), torch.zeros(B, 0, H, W))
    return LabelledClips(torch.zeros(B, N, 3, H, W), depth, intrinsics, poses(), flow)


def truth(labels: LabelledClips, scale: float = 1.0) -> Geometry:
    """The labels as a prediction in units of its own, the world at the first camera."""
    pose = inverse(labels.world_from_camera[:, :1]) @ labels.world_from_camera
    pose[..., :3, 3] *= scale
    local = scale * unproject(labels.depth, labels.intrinsics)
    points = Geometry(local, torch.zeros(B, N, H, W), pose).points
    return Geometry(local, torch.zeros(B, N, H, W), pose, predicted_points=points)


def test_the_truth_in_any_unit_costs_nothing(labels):
    for scale in (1.0, 7.0):
        terms = supervised_loss(truth(labels, scale), labels, CONFIG)
        assert set(terms) == {
            "points", "world_points", "camera_rotation", "camera_translation", "total",
        }  # fmt: skip
        assert all(value.abs() < 1e-4 for value in terms.values()), terms


def test_the_loss_is_the_weighted_mean_error_in_the_first_camera_frame(labels):
    geometry = truth(labels)
    wrong = geometry.predicted_points + 0.1 * torch.randn(B, N, H, W, 3)
    target = normalised_target(labels, CONFIG)
    prediction = aligned_prediction(geometry, target, CONFIG)
    world = inverse(labels.world_from_camera[:, :1]) @ labels.world_from_camera
    local = unproject(labels.depth, labels.intrinsics)
    total, count = 0.0, 0
    for b in range(B):
        unit = float(target.points[2, b, 0, 0, 0] / labels.depth[b, 0, 0, 0])
        for n in range(N):
            for row in range(H):
                for column in range(W):
                    if labels.depth[b, n, row, column] == 0:
                        continue
                    expected = world[b, n] @ torch.cat([local[b, n, row, column], torch.ones(1)])
                    error = prediction.factor[b] * wrong[b, n, row, column] - unit * expected[:3]
                    weight = target.weight[b, n, row, column]
                    total, count = total + float(weight * error.abs().mean()), count + 1
    loss = world_points_loss(wrong, prediction, target)
    torch.testing.assert_close(float(loss), total / count, rtol=1e-4, atol=1e-6)


def test_poses_are_compared_with_the_world_only_where_points_are_predicted(labels):
    geometry = truth(labels)
    elsewhere = poses()[:, :1] @ geometry.world_from_camera  # another world, equal relative poses
    moved = replace(geometry, world_from_camera=elsewhere)
    with_points = supervised_loss(moved, labels, CONFIG)
    assert with_points["camera_rotation"] > 0.01
    assert with_points["camera_translation"] > 0.001
    without = supervised_loss(replace(moved, predicted_points=None), labels, CONFIG)
    assert "world_points" not in without
    assert without["camera_rotation"] < 1e-3
    assert without["camera_translation"] < 1e-4


def test_gradients_reach_the_points_and_stop_at_pixels_without_labels(labels):
    geometry = truth(labels)
    points = (geometry.predicted_points + 0.1).requires_grad_()
    supervised_loss(replace(geometry, predicted_points=points), labels, CONFIG)["total"].backward()
    assert points.grad.isfinite().all()
    assert torch.equal(points.grad.abs().sum(-1) > 0, labels.depth > 0)
