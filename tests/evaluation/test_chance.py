from dataclasses import replace

import numpy as np
import pytest
import torch

from flow3r.errors import DataError
from flow3r.evaluation.chance import (
    chance_scores,
    flow_candidates,
    points_candidates,
    pose_candidates,
)
from flow3r.evaluation.names import METRICS
from flow3r.evaluation.predictions import ClipPredictions
from flow3r.evaluation.score import score_clips, summarise
from flow3r.evaluation.truth import Truth


def with_labels(clips, **changes):
    return replace(clips, labelled=replace(clips.labelled, **changes))


@pytest.fixture
def benchmark(make_clips):
    return make_clips(10)


@pytest.fixture
def validation(make_clips):
    return make_clips(6, seed=1)


def test_every_metric_has_a_chance_and_twice_the_same(benchmark, validation):
    scores = chance_scores(benchmark, validation)
    assert list(scores) == list(METRICS)
    assert scores == chance_scores(benchmark, validation)


def test_it_tells_that_it_is_at_work(benchmark, validation):
    told = []
    chance_scores(benchmark, validation, on_progress=lambda: told.append(1))
    assert len(told) > 10


def test_no_constant_of_the_validation_clips_is_better(benchmark, validation):
    chance, known = chance_scores(benchmark, validation), Truth.of(validation)
    points, flow = points_candidates(known), flow_candidates(known)
    for motion in pose_candidates(known)[:8]:
        predictions = ClipPredictions(
            benchmark.scenes,
            np.broadcast_to(motion, (10, *motion.shape)).astype(np.float32),
            np.broadcast_to(points[0], (10, *points[0].shape)).astype(np.float32),
            known.pairs,
            np.broadcast_to(flow[1], (10, *flow[1].shape)).astype(np.float32),
        )
        summary = summarise(score_clips(predictions, benchmark))
        for name, score in summary.items():
            if name.startswith(("rra", "rta", "auc", "ate", "rpe", "flow", "depth")):
                slack = 1e-3 if METRICS[name].direction == "down" else -1e-3
                assert not METRICS[name].better(score + slack, chance[name]), name


def test_a_benchmark_without_variety_has_a_perfect_chance(make_clips):
    one = make_clips(1)
    labelled, flow = one.labelled, one.labelled.flow
    repeat = {
        name: getattr(labelled, name).repeat_interleave(4, dim=0)
        for name in ("images", "intrinsics", "world_from_camera", "depth")
    }
    depth = torch.arange(1, 5)[:, None, None, None] * labelled.depth.clamp_min(1.0)
    poses = repeat["world_from_camera"]
    poses[..., :3, 3] *= torch.arange(1, 5)[:, None, None]  # four sizes of the same scene
    four = replace(
        one,
        labelled=replace(
            labelled,
            **{**repeat, "depth": depth, "world_from_camera": poses},
            flow=replace(
                flow,
                target_px=flow.target_px.repeat_interleave(4, dim=0),
                covisibility=flow.covisibility.repeat_interleave(4, dim=0),
            ),
        ),
        moving=one.moving.repeat_interleave(4, dim=0),
        scenes=tuple("abcd"),
    )
    for name, score in chance_scores(four, four).items():
        perfect = 100.0 if METRICS[name].direction == "up" else 0.0
        assert score == pytest.approx(perfect, abs=1e-3), name


def test_standing_still_is_a_candidate(benchmark, validation):
    still = torch.eye(4).expand_as(benchmark.labelled.world_from_camera).clone()
    still[:, 1:, 2, 3] = 1.0  # straight ahead, without turning
    scores = chance_scores(with_labels(benchmark, world_from_camera=still), validation)
    assert scores["rra_5"] == 100.0
    # The last two frames share a place, so the pairs with the first decide; both go straight ahead.
    assert scores["rta_5"] == 100.0
    assert scores["auc_5"] == 100.0


def test_constant_depth_gives_no_depth_error(benchmark, validation):
    depth = torch.arange(1.0, 11.0)[:, None, None, None].expand_as(benchmark.labelled.depth)
    scores = chance_scores(with_labels(benchmark, depth=depth), validation)
    assert scores["depth_abs_rel"] == pytest.approx(0.0, abs=1e-6)


def test_candidates_are_scale_free_poses(validation):
    known = Truth.of(validation)
    poses = validation.labelled.world_from_camera.clone()
    poses[..., :3, 3] *= 7.0
    larger = with_labels(validation, world_from_camera=poses, depth=validation.labelled.depth * 7)
    for a, b in zip(pose_candidates(known), pose_candidates(Truth.of(larger))):
        np.testing.assert_allclose(a, b, atol=1e-5)
        rotation = a[:, :3, :3]
        eyes = np.broadcast_to(np.eye(3), rotation.shape)
        np.testing.assert_allclose(rotation @ np.swapaxes(rotation, 1, 2), eyes, atol=1e-5)
        np.testing.assert_allclose(np.linalg.det(rotation), 1.0, atol=1e-5)


def test_validation_clips_of_another_kind_are_refused(benchmark, make_clips):
    with pytest.raises(DataError, match="frames"):
        chance_scores(benchmark, make_clips(4, frames=2))
