"""Evaluation of a run: validation during training, test benchmarks after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.assembly import open_dataset
from experiments.rundir import RunDirectory
from experiments.spec import RunSpec
from experiments.stages import chance_stage
from flow3r.data.clip import EvaluationClips
from flow3r.data.store import ClipStore
from flow3r.evaluation.benchmark import Predict, collect, evaluate_benchmark, evaluating
from flow3r.evaluation.flow import flow_metrics
from flow3r.evaluation.predictions import save_predictions
from flow3r.evaluation.score import pose_metrics
from flow3r.evaluation.truth import Truth
from flow3r.files import read_json, write_json
from flow3r.formulations.assembled import Flow3r
from flow3r.model.outputs import Prediction
from flow3r.training.precision import mixed_precision

CURVES = ("rra_15", "rta_30", "auc_30", "flow_epe")


def batches(store: ClipStore, count: int, size: int, benchmark: str) -> Iterator[EvaluationClips]:
    """The first `count` clips of a store, in batches."""
    for start in range(0, count, size):
        yield store.evaluation(np.arange(start, min(start + size, count)), benchmark)


def predictor(model: Flow3r, precision: str, device: torch.device) -> Predict:
    """The function that benchmarks call."""

    def predict(images: Tensor, pairs: Tensor, intrinsics: Tensor) -> Prediction:
        with mixed_precision(device, precision):
            return model(images.to(device), pairs.to(device), intrinsics.to(device))

    return predict


def _telling(
    several: Iterator[EvaluationClips], on_progress: Callable[[], None]
) -> Iterator[EvaluationClips]:
    """The same batches; `on_progress` is called before each: a benchmark may take long."""
    for clips in several:
        on_progress()
        yield clips


class Validation:
    """Cheap metrics on validation clips, for the learning curves and for choices."""

    def __init__(self, model: Flow3r, spec: dict[str, Any], parsed: RunSpec, output: Path, device):
        self.model, self.config = model, parsed.evaluation
        self.predict = predictor(model, parsed.training.precision, device)
        validation = spec["data"]["validation"]
        self.stores = {name: open_dataset(d, output) for name, d in validation.items()}

    def metrics(self, on_progress: Callable[[], None]) -> dict[str, float]:
        """`validation/<benchmark>/<metric>` of the model as it is now."""
        values = {}
        for name, store in self.stores.items():
            for metric, value in self._score(store, name, on_progress).items():
                values[f"validation/{name}/{metric}"] = value
        return values

    def _score(
        self, store: ClipStore, name: str, on_progress: Callable[[], None]
    ) -> dict[str, float]:
        count = min(self.config.validation_clips, len(store))
        collected: dict[str, list[np.ndarray]] = {}
        with evaluating(self.model), torch.inference_mode():
            several = batches(store, count, self.config.batch, name)
            for clips in _telling(several, on_progress):
                for metric, value in self._score_batch(clips).items():
                    collected.setdefault(metric, []).append(value)
        curves = {m: np.concatenate(collected[m]) for m in CURVES if m in collected}
        return {m: float(np.nanmean(values)) for m, values in curves.items()}

    def _score_batch(self, clips: EvaluationClips) -> dict[str, np.ndarray]:
        pairs = clips.labelled.flow.pairs
        labelled = clips.labelled
        prediction = self.predict(labelled.images, pairs, labelled.intrinsics)
        predicted = collect(prediction, pairs, clips.scenes)
        truth = Truth.of(clips)
        values = pose_metrics(predicted.world_from_camera, truth)
        if predicted.target_px is not None:
            values |= flow_metrics(
                predicted.target_px, truth.target_px, truth.covisibility, truth.moving, truth.pairs
            )
        return values


def evaluate_run(
    directory: RunDirectory,
    spec: dict[str, Any],
    parsed: RunSpec,
    model: Flow3r,
    device: torch.device,
    stop: Callable[[], bool],
    on_progress: Callable[[], None] = lambda: None,
) -> bool:
    """Score the trained model on every test benchmark; False when stopped in between."""
    records = {}
    for name, dataset in spec["data"]["test"].items():
        if stop():
            return False
        store = open_dataset(dataset, directory.output_dir)
        predict = predictor(model, parsed.training.precision, device)
        clips = batches(store, len(store), parsed.evaluation.batch, name)
        result = evaluate_benchmark(predict, _telling(clips, on_progress), modules=(model,))
        chance = chance_of(spec, name, directory.output_dir)
        records[name] = result.record(store.fingerprint, chance)
        path = directory.path / "predictions" / f"{name}.npz"
        save_predictions(path, result.predictions, identity(directory, store, parsed))
        on_progress()
    write_evaluation(directory, parsed, records)
    return True


def write_evaluation(directory: RunDirectory, parsed: RunSpec, records: dict[str, Any]) -> None:
    """Write evaluation.json."""
    write_json(
        directory.path / "evaluation.json",
        {
            "schema": 1,
            "run_id": directory.path.name,
            "step": parsed.training.total_steps,
            "benchmarks": records,
        },
    )


def identity(directory: RunDirectory, store: ClipStore, parsed: RunSpec) -> dict[str, str]:
    """What exported predictions belong to."""
    return {
        "run": directory.path.name,
        "step": str(parsed.training.total_steps),
        "data": store.fingerprint,
    }


def chance_of(spec: dict[str, Any], benchmark: str, output_dir: Path) -> dict[str, float]:
    """The scores of the best constant prediction, from their stage."""
    return read_json(output_dir / "stages" / chance_stage(spec, benchmark).id / "chance.json")
