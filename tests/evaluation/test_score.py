import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from flow3r.errors import DataError
from flow3r.evaluation import truth as truth_module
from flow3r.evaluation.names import METRICS, metric
from flow3r.evaluation.predictions import ClipPredictions
from flow3r.evaluation.score import score_clips, summarise
from flow3r.evaluation.truth import Truth


def perfect(clips, with_flow=True):
    """Exact predictions; pixels without ground truth get some depth."""
    truth = Truth.of(clips)
    points = truth.local_points
    points[truth.depth == 0] = [0.0, 0.0, 1.0]
    flow = clips.labelled.flow
    return ClipPredictions(
        clips.scenes,
        truth.world_from_camera,
        points,
        flow.pairs.numpy() if with_flow else None,
        flow.target_px.numpy() if with_flow else None,
    )


def moved(predictions, scale=0.2):
    """The same geometry in another world frame and at another scale."""
    world = np.eye(4)
    world[:3, :3] = Rotation.from_rotvec([40, 100, -20], degrees=True).as_matrix()
    world[:3, 3] = [3, -5, 2]
    poses = predictions.world_from_camera.astype(np.float64)
    poses[..., :3, 3] *= scale
    poses = (world @ poses).astype(np.float32)
    return replace(
        predictions, world_from_camera=poses, local_points=predictions.local_points * scale
    )


def is_perfect(metrics, tolerance):
    return all(
        value == pytest.approx(100.0 if metric(name).direction == "up" else 0.0, abs=tolerance)
        for name, value in metrics.items()
    )


@pytest.mark.parametrize("transform", [lambda p: p, moved], ids=["exact", "moved"])
def test_a_perfect_prediction_scores_perfectly(make_clips, transform):
    clips = make_clips(5)
    scenes = score_clips(transform(perfect(clips)), clips)
    assert [scene["scene"] for scene in scenes] == list(clips.scenes)
    for scene in scenes:
        assert list(scene["metrics"]) == list(METRICS)
        assert is_perfect(scene["metrics"], 1e-4), scene


@pytest.mark.parametrize("transform", [lambda p: p, moved], ids=["exact", "moved"])
def test_rounding_for_the_file_costs_little(make_clips, transform):
    clips = make_clips(5)
    summary = summarise(score_clips(transform(perfect(clips)).rounded(), clips))
    assert summary["pointmap_mse"] < 1e-6
    assert summary["depth_abs_rel"] < 5e-4
    assert summary["chamfer"] < 1e-3
    assert summary["flow_epe"] < 0.5 / 32
    assert summary["f_score_5"] == 100.0


def test_scores_do_not_depend_on_the_company(make_clips, monkeypatch):
    clips = make_clips(6)
    predictions = replace(perfect(clips), local_points=perfect(make_clips(6, seed=1)).local_points)
    together = score_clips(predictions, clips)
    monkeypatch.setattr(truth_module, "PART_PIXELS", 1)
    apart = score_clips(predictions, clips)
    for a, b in zip(together, apart):
        assert a["scene"] == b["scene"]
        assert a["metrics"] == pytest.approx(b["metrics"], rel=1e-9, abs=1e-12)


def test_undefined_metrics_are_absent(make_clips):
    clips = make_clips(3, frames=2)
    moving = clips.moving.clone()
    moving[0] = False
    clips = replace(clips, moving=moving)
    first, second, _ = [s["metrics"] for s in score_clips(perfect(clips), clips)]
    for name in ("ate", "rpe_translation", "rpe_rotation"):
        assert name not in second  # two frames
    gone = {"pointmap_mse_moving", "depth_abs_rel_moving", "flow_epe_moving"}
    assert set(second) - set(first) == gone
    without_flow = score_clips(perfect(clips, with_flow=False), clips)[1]["metrics"]
    assert set(second) - set(without_flow) == {"flow_epe", "flow_epe_moving", "flow_epe_static"}


def test_a_scene_without_depth_keeps_its_pose_metrics(make_clips):
    clips = make_clips(2)
    predictions = perfect(clips)
    depth = clips.labelled.depth.clone()
    depth[1] = 0.0
    clips = replace(clips, labelled=replace(clips.labelled, depth=depth))
    metrics = score_clips(predictions, clips)[1]["metrics"]
    assert "rra_5" in metrics
    assert "pointmap_mse" not in metrics
    assert "chamfer" not in metrics
    assert "depth_abs_rel" not in metrics


def test_summary_averages_the_scenes_that_have_the_metric():
    scenes = [
        {"scene": "a", "metrics": {"rra_5": 100.0, "flow_epe_moving": 3.0}},
        {"scene": "b", "metrics": {"rra_5": 0.0}},
    ]
    assert summarise(scenes) == {"rra_5": 50.0, "flow_epe_moving": 3.0}
    assert summarise([]) == {}


def test_predictions_for_other_clips_are_refused(make_clips):
    clips = make_clips(3)
    predictions = perfect(clips)
    with pytest.raises(DataError, match="static/000000"):
        score_clips(replace(predictions, scenes=("x", *clips.scenes[1:])), clips)
    with pytest.raises(DataError, match="2 other clips"):
        score_clips(predictions.select(slice(0, 2)), clips)
    with pytest.raises(DataError, match="size"):
        score_clips(replace(predictions, local_points=predictions.local_points[:, :2]), clips)
    with pytest.raises(DataError, match="pairs"):
        score_clips(replace(predictions, pairs=np.array([[0, 1], [0, 2]])), clips)


@pytest.mark.slow
def test_a_benchmark_is_scored_in_seconds(make_clips):
    clips = make_clips(512, frames=2, size=48)
    other = perfect(make_clips(512, frames=2, size=48, seed=1))
    predictions = replace(other, scenes=clips.scenes)
    torch.set_num_threads(1)
    start = time.process_time()
    score_clips(predictions, clips)
    assert time.process_time() - start < 12.0  # 3 s on an idle core; room for a busy machine
