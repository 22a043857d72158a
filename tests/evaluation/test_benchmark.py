from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from flow3r.data.clip import EvaluationClips, LabelledClips, PairFlow
from flow3r.errors import DataError
from flow3r.evaluation.benchmark import evaluate_benchmark, evaluating, score_benchmark
from flow3r.evaluation.predictions import load_predictions, save_predictions
from flow3r.files import read_json, write_json
from flow3r.geometry.camera import unproject
from flow3r.model.outputs import Flow, Geometry, Latents, Prediction


def part_of(clips, start, stop):
    """Clips [start, stop) as a batch of their own."""
    labelled, flow = clips.labelled, clips.labelled.flow
    part = slice(start, stop)
    return EvaluationClips(
        LabelledClips(
            labelled.images[part],
            labelled.depth[part],
            labelled.intrinsics[part],
            labelled.world_from_camera[part],
            PairFlow(flow.pairs, flow.target_px[part], flow.covisibility[part]),
        ),
        clips.moving[part],
        clips.scenes[part],
    )


class Oracle(nn.Module):
    """Knows the answer for its clips, which it recognises by their images; adds a little noise."""

    def __init__(self, clips, with_flow=True):
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.clips, self.with_flow = clips, with_flow

    def forward(self, images, pairs, intrinsics):
        same = [(self.clips.labelled.images == image).flatten(1).all(1) for image in images]
        index = torch.stack(same).int().argmax(dim=1)
        labelled = self.clips.labelled
        points = unproject(labelled.depth[index].clamp_min(0.1), labelled.intrinsics[index])
        points = points * (1 + 0.2 * torch.sin(100 * points[..., 2:]))
        logit = self.dropout(torch.ones(points.shape[:-1]))
        geometry = Geometry(points, logit, labelled.world_from_camera[index])
        flow = None
        if self.with_flow:
            target = labelled.flow.target_px[index] + 1.0
            flow = Flow(target, torch.ones(target.shape[:-1], dtype=torch.bool))
        return Prediction(Latents((), (), torch.zeros(0), (0, 0), (0, 0)), geometry, flow)


@pytest.fixture
def clips(make_clips):
    return make_clips(7)


def batches(clips):
    yield part_of(clips, 0, 3)
    yield part_of(clips, 3, 7)


def test_the_scores_of_a_file_equal_those_of_the_model(clips, tmp_path):
    oracle = Oracle(clips)
    result = evaluate_benchmark(oracle, batches(clips), [oracle])
    assert [scene["scene"] for scene in result.scenes] == list(clips.scenes)
    assert result.summary["rra_5"] == 100.0
    assert result.summary["flow_epe"] == pytest.approx(2**0.5, abs=0.02)
    assert 0.01 < result.summary["depth_abs_rel"] < 0.2
    save_predictions(tmp_path / "p.npz", result.predictions, {"run": "a"})
    again = score_benchmark(load_predictions(tmp_path / "p.npz", {"run": "a"}), batches(clips))
    assert again.scenes == result.scenes
    assert again.summary == result.summary


def test_the_record_is_plain_json(clips, tmp_path):
    result = evaluate_benchmark(Oracle(clips), batches(clips))
    record = result.record("abcd", {"rra_5": 3.0})
    write_json(tmp_path / "evaluation.json", record)
    assert read_json(tmp_path / "evaluation.json") == record
    assert record["frames"] == 3
    assert record["chance"] == {"rra_5": 3.0}
    assert len(record["scenes"]) == 7


def test_modules_are_in_eval_mode_meanwhile_only(clips):
    oracle = Oracle(clips)
    oracle.dropout.eval()  # a frozen part stays frozen
    seen = []

    def predict(images, pairs, intrinsics):
        seen.append((oracle.training, torch.is_grad_enabled()))
        return oracle(images, pairs, intrinsics)

    evaluate_benchmark(predict, batches(clips), [oracle])
    assert seen == [(False, False)] * 2
    assert oracle.training
    assert not oracle.dropout.training
    with pytest.raises(RuntimeError), evaluating(oracle):
        raise RuntimeError
    assert oracle.training


def test_a_model_without_flow_has_no_flow_metrics(clips):
    result = evaluate_benchmark(Oracle(clips, with_flow=False), batches(clips))
    assert result.predictions.target_px is None
    assert "flow_epe" not in result.summary
    assert "auc_30" in result.summary


def test_a_pixel_without_a_flow_counts_as_standing_still(clips):
    oracle = Oracle(clips)

    def predict(images, pairs, intrinsics):
        prediction = oracle(images, pairs, intrinsics)
        valid = torch.zeros_like(prediction.flow.valid)
        return replace(prediction, flow=replace(prediction.flow, valid=valid))

    predictions = evaluate_benchmark(predict, batches(clips)).predictions
    y, x = np.mgrid[:8, :8]
    expected = np.broadcast_to(np.stack([x, y], axis=-1), predictions.target_px.shape)
    np.testing.assert_array_equal(predictions.target_px, expected)


@pytest.mark.parametrize("name", ["local_points", "world_from_camera"])
def test_a_nan_is_an_error_and_names_the_scene(clips, name):
    oracle = Oracle(clips)

    def predict(images, pairs, intrinsics):
        prediction = oracle(images, pairs, intrinsics)
        damaged = getattr(prediction.geometry, name).clone()
        damaged[1, 0, 0, 0] = float("nan")
        return replace(prediction, geometry=replace(prediction.geometry, **{name: damaged}))

    with pytest.raises(DataError, match=f"{name}.*{clips.scenes[1]}"):
        evaluate_benchmark(predict, batches(clips))


def test_a_benchmark_of_another_length_is_refused(clips):
    predictions = evaluate_benchmark(Oracle(clips), batches(clips)).predictions
    with pytest.raises(DataError, match="7 clips were predicted, the benchmark has 3"):
        score_benchmark(predictions, [part_of(clips, 0, 3)])
    with pytest.raises(DataError, match="no clips"):
        evaluate_benchmark(Oracle(clips), [])
