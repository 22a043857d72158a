"""Scoring a finished run once more, from its exported predictions or from its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.assembly import WEIGHTS, choose_device, open_dataset
from experiments.rundir import RunDirectory
from experiments.scoring import batches, chance_of, evaluate_run, identity, write_evaluation
from experiments.spec import parse_spec
from experiments.threads import limit_threads
from flow3r.errors import DataError
from flow3r.evaluation.benchmark import score_benchmark
from flow3r.evaluation.predictions import load_predictions
from flow3r.files import read_json
from flow3r.formulations.assembled import build_model
from flow3r.weights.files import read_weights


def score_again(path: Path) -> dict[str, Any]:
    """Score the exported predictions; DataError if they belong to other data."""
    directory = _opened(path)
    spec = directory.spec()["spec"]
    parsed = parse_spec(spec)
    records = {}
    for name, dataset in spec["data"]["test"].items():
        store = open_dataset(dataset, directory.output_dir)
        expected = identity(directory, store, parsed)
        predictions = load_predictions(path / "predictions" / f"{name}.npz", expected)
        clips = batches(store, len(store), parsed.evaluation.batch, name)
        chance = chance_of(spec, name, directory.output_dir)
        records[name] = score_benchmark(predictions, clips).record(store.fingerprint, chance)
    write_evaluation(directory, parsed, records)
    return records


def predict_again(path: Path, device_name: str) -> dict[str, Any]:
    """Run the trained weights on the benchmarks again."""
    directory = _opened(path)
    spec = directory.spec()["spec"]
    parsed = parse_spec(spec)
    device = choose_device(device_name)
    model = build_model(parsed.model, parsed.formulation, parsed.seed)
    try:
        model.load_state_dict(read_weights(path / "checkpoint" / WEIGHTS))
    except RuntimeError as error:
        raise DataError(f"{path}: the weights do not fit the run's spec: {error}") from None
    evaluate_run(directory, spec, parsed, model.to(device), device, stop=lambda: False)
    return read_json(path / "evaluation.json")["benchmarks"]


def _opened(path: Path) -> RunDirectory:
    """The run's directory; as many threads as the run had, since they may change last bits."""
    directory = RunDirectory(path)
    limit_threads(directory.spec()["runtime"]["threads"])
    return directory
