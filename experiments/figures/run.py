"""The figures of a run directory: one per benchmark, drawn when its predictions are newer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.assembly import open_dataset
from experiments.figures.choice import CHOICE_METRIC, Choice, choose_scenes
from experiments.figures.png import write_png
from experiments.figures.rows import Row, make_row
from experiments.figures.sheet import SETTINGS, draw_sheet
from experiments.rundir import RunDirectory
from experiments.scoring import identity
from experiments.spec import RunSpec, parse_spec
from flow3r.data.store import ClipStore
from flow3r.errors import DataError
from flow3r.evaluation.names import METRICS
from flow3r.evaluation.predictions import ClipPredictions, load_predictions
from flow3r.files import read_json

RESOLUTION = 140  # dots per inch


def draw_run(run_directory: Path) -> list[Path]:
    """Write <run>/figures/<benchmark>.png for each test benchmark; returns all of them.

    Shown are the best, the median and the worst scene by pointmap MSE, each with its first pair of
    frames. A figure that is newer than its predictions is kept. Raises DataError for a run without
    evaluation.json or predictions, or with predictions of another run or other data.
    """
    directory = RunDirectory(run_directory)
    spec = directory.spec()["spec"]
    parsed = parse_spec(spec)
    records = _records(run_directory)
    exported = {b: run_directory / "predictions" / f"{b}.npz" for b in spec["data"]["test"]}
    for path in exported.values():
        _require(path, run_directory)
    figures = []
    for benchmark, predictions in exported.items():
        figure = run_directory / "figures" / f"{benchmark}.png"
        if not _newer(figure, predictions):
            if benchmark not in records:
                raise DataError(f"{run_directory}: evaluation.json has no benchmark {benchmark!r}")
            store = open_dataset(spec["data"]["test"][benchmark], directory.output_dir)
            loaded = load_predictions(predictions, identity(directory, store, parsed))
            scenes = records[benchmark]["scenes"]
            rows = [_row(c, loaded, store, benchmark) for c in choose_scenes(scenes)]
            _write(figure, _title(parsed, benchmark, len(scenes), rows), rows)
        figures.append(figure)
    return figures


def _records(run_directory: Path) -> dict[str, Any]:
    path = run_directory / "evaluation.json"
    _require(path, run_directory)
    return read_json(path)["benchmarks"]


def _require(path: Path, run_directory: Path) -> None:
    if not path.exists():
        raise DataError(
            f"{path} is missing; figures need a finished run "
            f"(python experiments/evaluate.py run={run_directory} predict=true writes it again)"
        )


def _newer(figure: Path, predictions: Path) -> bool:
    return figure.exists() and figure.stat().st_mtime >= predictions.stat().st_mtime


def _row(choice: Choice, predictions: ClipPredictions, store: ClipStore, benchmark: str) -> Row:
    """Predictions are in the order of the store."""
    if choice.scene not in predictions.scenes:
        raise DataError(
            f"{choice.scene} was scored but not predicted; predictions are for "
            f"{predictions.scenes[0]} ... {predictions.scenes[-1]}; evaluate the run again"
        )
    index = predictions.scenes.index(choice.scene)
    clips = store.evaluation(np.array([index]), benchmark)
    return make_row(choice, predictions.select(slice(index, index + 1)), clips)


def _title(parsed: RunSpec, benchmark: str, count: int, rows: list[Row]) -> str:
    name = parsed.formulation.name
    head = "" if rows[0].flow is not None else " (no flow head)"
    places = " and ".join(", ".join(row.choice.place for row in rows).rsplit(", ", 1))
    return (
        f"{name}{head}, seed {parsed.seed}, step {parsed.training.total_steps}: "
        f"{benchmark} scenes, {places} of {count} by {METRICS[CHOICE_METRIC].label}"
    )


def _write(path: Path, title: str, rows: list[Row]) -> None:
    from matplotlib import rc_context

    with rc_context(SETTINGS):
        write_png(path, draw_sheet(title, rows), RESOLUTION)
