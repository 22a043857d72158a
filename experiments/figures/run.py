"""The figures of a run directory: one per benchmark, drawn when its predictions are newer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    benchmarks = list(RunDirectory(run_directory).spec()["spec"]["data"]["test"])
    scored_benchmarks(run_directory)
    for benchmark in benchmarks:
        _require(_predictions(run_directory, benchmark), run_directory)
    figures = []
    for benchmark in benchmarks:
        figure = run_directory / "figures" / f"{benchmark}.png"
        if not newer(figure, [_predictions(run_directory, benchmark)]):
            scored = scored_scenes(run_directory, benchmark)
            source = RowSource.of(run_directory, benchmark)
            rows = [source.row(choice) for choice in choose_scenes(scored)]
            write_sheet(figure, _title(source.parsed, benchmark, len(scored), rows), rows)
        figures.append(figure)
    return figures


@dataclass(frozen=True)
class RowSource:
    """What the rows of one run and benchmark are made from."""

    parsed: RunSpec
    predictions: ClipPredictions
    store: ClipStore
    benchmark: str

    @classmethod
    def of(cls, run_directory: Path, benchmark: str) -> RowSource:
        """Opens predictions and truth. Raises DataError where they are missing or do not fit."""
        directory = RunDirectory(run_directory)
        spec = directory.spec()["spec"]
        parsed = parse_spec(spec)
        path = _predictions(run_directory, benchmark)
        _require(path, run_directory)
        store = open_dataset(spec["data"]["test"][benchmark], directory.output_dir)
        predictions = load_predictions(path, identity(directory, store, parsed))
        return cls(parsed, predictions, store, benchmark)

    def row(self, choice: Choice) -> Row:
        """The row of a scene. Predictions are in the order of the store."""
        known = self.predictions.scenes
        if choice.scene not in known:
            raise DataError(
                f"{choice.scene} was scored but not predicted; predictions are for {known[0]} ... "
                f"{known[-1]}; evaluate the run again"
            )
        index = known.index(choice.scene)
        clips = self.store.evaluation(np.array([index]), self.benchmark)
        return make_row(choice, self.predictions.select(slice(index, index + 1)), clips)


def scored_scenes(run_directory: Path, benchmark: str) -> list[dict[str, Any]]:
    """The scenes' scores of a benchmark; DataError where the run has none."""
    benchmarks = scored_benchmarks(run_directory)
    if benchmark not in benchmarks:
        raise DataError(f"{run_directory}: evaluation.json has no benchmark {benchmark!r}")
    return benchmarks[benchmark]["scenes"]


def scored_benchmarks(run_directory: Path) -> dict[str, Any]:
    """The benchmarks of evaluation.json; DataError where there is none."""
    path = run_directory / "evaluation.json"
    _require(path, run_directory)
    return read_json(path)["benchmarks"]


def newer(figure: Path, sources: Sequence[Path]) -> bool:
    """Whether a figure is there and not older than what it shows."""
    return figure.exists() and all(
        figure.stat().st_mtime >= path.stat().st_mtime for path in sources
    )


def write_sheet(path: Path, title: str, rows: Sequence[Row]) -> None:
    """Draw the rows and write the figure atomically."""
    from matplotlib import rc_context

    with rc_context(SETTINGS):
        write_png(path, draw_sheet(title, rows), RESOLUTION)


def _predictions(run_directory: Path, benchmark: str) -> Path:
    return run_directory / "predictions" / f"{benchmark}.npz"


def _require(path: Path, run_directory: Path) -> None:
    if not path.exists():
        raise DataError(
            f"{path} is missing; figures need a finished run "
            f"(python experiments/evaluate.py run={run_directory} predict=true writes it again)"
        )


def _title(parsed: RunSpec, benchmark: str, count: int, rows: list[Row]) -> str:
    name = parsed.formulation.name
    head = "" if rows[0].flow is not None else " (no flow head)"
    places = " and ".join(", ".join(row.choice.place for row in rows).rsplit(", ", 1))
    return (
        f"{name}{head}, seed {parsed.seed}, step {parsed.training.total_steps}: "
        f"{benchmark} scenes, {places} of {count} by {METRICS[CHOICE_METRIC].label}"
    )
