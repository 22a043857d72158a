"""Two arms side by side on the same scenes: where one gains most, the median, loses most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.figures.choice import CHOICE_METRIC, Choice, choose_by_difference
from experiments.figures.run import RowSource, newer, scored_scenes, write_sheet
from flow3r.errors import DataError
from flow3r.evaluation.names import METRICS


@dataclass(frozen=True)
class Side:
    """One of the two arms: its name and its run directories, a seed each."""

    name: str
    runs: Sequence[Path]


def draw_comparison(arm: Side, baseline: Side, benchmark: str, figure: Path) -> Path:
    """Write a figure with three scenes, each as both arms see it; returns its path.

    The runs of both sides are of the same seeds in the same order. Scenes are chosen by the paired
    difference in pointmap MSE over all of them; shown are the first run of each. A figure newer
    than the scores and predictions behind it is kept. Raises DataError without runs, scores or
    predictions.
    """
    if not arm.runs or len(arm.runs) != len(baseline.runs):
        raise DataError(
            f"{arm.name} and {baseline.name} need the same number of runs, at least one; "
            f"found {len(arm.runs)} and {len(baseline.runs)}"
        )
    sides = (arm, baseline)
    if newer(figure, _made_from(sides, benchmark)):
        return figure
    scored = [[scored_scenes(run, benchmark) for run in side.runs] for side in sides]
    chosen = choose_by_difference(*scored)
    sources = [RowSource.of(side.runs[0], benchmark) for side in sides]
    rows = [
        source.row(Choice(place, scene, _value(scenes[0], scene), side.name))
        for place, scene in chosen
        for side, source, scenes in zip(sides, sources, scored)
    ]
    write_sheet(figure, _title(arm, baseline, sources[0], chosen), rows)
    return figure


def _made_from(sides: Sequence[Side], benchmark: str) -> list[Path]:
    """What is missing is not listed here: reading it says so."""
    paths = [run / "evaluation.json" for side in sides for run in side.runs]
    paths += [side.runs[0] / "predictions" / f"{benchmark}.npz" for side in sides]
    return [path for path in paths if path.exists()]


def _value(scenes: Sequence[dict[str, Any]], scene: str) -> float:
    return next(row["metrics"][CHOICE_METRIC] for row in scenes if row["scene"] == scene)


def _title(arm: Side, baseline: Side, source: RowSource, chosen: Sequence[tuple[str, str]]) -> str:
    places = " and ".join(", ".join(place for place, _ in chosen).rsplit(", ", 1))
    over = f"mean over {len(arm.runs)} seeds" if len(arm.runs) > 1 else "one seed"
    return (
        f"{arm.name} and {baseline.name}, {source.benchmark} scenes: {places} by the paired "
        f"difference in {METRICS[CHOICE_METRIC].label} ({over}); shown: seed {source.parsed.seed}"
    )
