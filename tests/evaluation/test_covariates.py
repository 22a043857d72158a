"""What a scene is like, from its truth alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flow3r.evaluation.covariates import clip_covariates
from flow3r.evaluation.names import COVARIATES
from flow3r.evaluation.predictions import ClipPredictions
from flow3r.evaluation.score import score_clips
from flow3r.evaluation.truth import Truth
from flow3r.geometry.camera import pixel_grid


def turned_by(degrees):
    """The second camera turned about its y axis."""
    poses = torch.eye(4).repeat(1, 2, 1, 1)
    angle = np.radians(degrees)
    poses[0, 1, :3, :3] = torch.tensor(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    return poses


def test_known_values(make_clips):
    clips = make_clips(1, frames=2, size=8)
    depth = torch.ones(1, 2, 8, 8)
    depth[:, :, :, 4:] = 0.0  # unknown: does not count
    moving = torch.zeros(1, 2, 8, 8, dtype=torch.bool)
    moving[:, 0, :, :4] = True  # half of the known pixels, in one of two frames
    covisibility = torch.zeros(1, 2, 8, 8)
    covisibility[:, :, :2] = 1.0
    target = pixel_grid(8, 8, torch.device("cpu"), torch.float32).expand(1, 2, 8, 8, 2).clone()
    target[:, 0, :2] += torch.tensor([3.0, 4.0])
    target[:, :, 2:] = float("nan")  # not covisible: says nothing
    flow = replace(clips.labelled.flow, target_px=target, covisibility=covisibility)
    labelled = replace(clips.labelled, depth=depth, world_from_camera=turned_by(20), flow=flow)
    found = clip_covariates(Truth.of(replace(clips, labelled=labelled, moving=moving)))
    assert set(found) == set(COVARIATES)
    expected = {
        "moving_share": 50.0, "covisibility": 25.0, "flow_length": 2.5, "camera_rotation": 20.0,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx([value], rel=1e-5), name


def test_they_stand_beside_the_scores_and_an_undefined_one_is_absent(make_clips):
    clips = make_clips(2, frames=2)
    flow = replace(
        clips.labelled.flow, covisibility=torch.zeros_like(clips.labelled.flow.covisibility)
    )
    clips = replace(clips, labelled=replace(clips.labelled, flow=flow))
    truth = Truth.of(clips)
    points = truth.local_points
    points[truth.depth == 0] = [0.0, 0.0, 1.0]
    scenes = score_clips(ClipPredictions(clips.scenes, truth.world_from_camera, points), clips)
    for scene in scenes:
        assert set(scene["covariates"]) == set(COVARIATES) - {"flow_length"}
        assert scene["covariates"]["covisibility"] == 0.0
        assert not set(scene["covariates"]) & set(scene["metrics"])
