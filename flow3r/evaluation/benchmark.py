"""Running a model over a benchmark, and scoring predictions against one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flow3r.data.clip import EvaluationClips
from flow3r.errors import DataError
from flow3r.evaluation.predictions import ClipPredictions, concatenate_predictions
from flow3r.evaluation.score import score_clips, summarise
from flow3r.geometry.camera import pixel_grid
from flow3r.model.outputs import Flow, Prediction

Predict = Callable[[Tensor, Tensor, Tensor], Prediction]
"""images [B, N, 3, H, W], pairs [P, 2], intrinsics [B, N, 3, 3] -> Prediction.

Intrinsics are a camera's calibration; only formulations that ask for them read them. The function
may move its arguments to its own device."""


@dataclass(frozen=True)
class BenchmarkResult:
    """Predictions for a whole benchmark and their scores."""

    predictions: ClipPredictions
    scenes: list[dict[str, Any]]
    """One {"scene": name, "metrics": {name: value}, "covariates": {name: value}} per clip."""
    summary: dict[str, float]

    def record(self, fingerprint: str, chance: Mapping[str, float]) -> dict[str, Any]:
        """The entry of one benchmark in a run's `evaluation.json`."""
        return {
            "fingerprint": fingerprint,
            "frames": self.predictions.local_points.shape[1],
            "scenes": self.scenes,
            "summary": self.summary,
            "chance": dict(chance),
        }


def evaluate_benchmark(
    predict: Predict, batches: Iterable[EvaluationClips], modules: Iterable[nn.Module] = ()
) -> BenchmarkResult:
    """Predict every batch, round the predictions as their file does, and score them.

    `modules` are in eval mode meanwhile. Batch by batch, so that the benchmark need not fit into
    memory. Raises DataError, naming the scenes, for predictions that are not finite: no scene is
    ever dropped.
    """
    parts: list[ClipPredictions] = []
    scenes: list[dict[str, Any]] = []
    with evaluating(*modules), torch.inference_mode():
        for batch in batches:
            clips = batch.labelled
            prediction = predict(clips.images, clips.flow.pairs, clips.intrinsics)
            parts.append(collect(prediction, batch.labelled.flow.pairs, batch.scenes))
            scenes += score_clips(parts[-1], batch)
    return BenchmarkResult(concatenate_predictions(parts), scenes, summarise(scenes))


def score_benchmark(
    predictions: ClipPredictions, batches: Iterable[EvaluationClips]
) -> BenchmarkResult:
    """Score exported predictions again, without the model, against batches in the same order.

    Raises DataError unless the batches hold exactly the predicted scenes.
    """
    scenes: list[dict[str, Any]] = []
    for batch in batches:
        part = slice(len(scenes), len(scenes) + len(batch.scenes))
        scenes += score_clips(predictions.select(part), batch)
    if len(scenes) != len(predictions):
        raise DataError(f"{len(predictions)} clips were predicted, the benchmark has {len(scenes)}")
    return BenchmarkResult(predictions, scenes, summarise(scenes))


def collect(prediction: Prediction, pairs: Tensor, scenes: tuple[str, ...]) -> ClipPredictions:
    """The rounded predictions of a batch.

    A pixel without a predicted flow (`Flow.valid` False: its point lies behind the camera) counts
    as predicted to stay where it is, so that a formulation cannot gain by predicting nothing.
    """
    geometry = prediction.geometry
    flow = None if prediction.flow is None else _array(_with_fallback(prediction.flow))
    return ClipPredictions(
        scenes,
        _array(geometry.world_from_camera),
        _array(geometry.local_points),
        None if flow is None else pairs.cpu().numpy(),
        flow,
    ).rounded()


@contextlib.contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Put modules into eval mode, and every submodule back into the mode it was in."""
    modes = [(m, m.training) for module in modules for m in module.modules()]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _with_fallback(flow: Flow) -> Tensor:
    height, width = flow.target_px.shape[2:4]
    stay = pixel_grid(height, width, flow.target_px.device, flow.target_px.dtype)
    return torch.where(flow.valid[..., None], flow.target_px, stay)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(device="cpu", dtype=torch.float32).numpy()
