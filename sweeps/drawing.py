"""Draws the figures of finished runs, each once; what cannot be drawn is said and left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flow3r.files import read_json
from sweeps import states


@dataclass(frozen=True)
class Undrawn:
    """A finished run without its figures, and why."""

    run: str
    reason: str


class Drawing:
    """The figures of a sweep's runs: each looked after once per evaluation, drawn or not."""

    def __init__(self, runs: Sequence[tuple[str, Path]]) -> None:
        """`runs`: name for people and directory of each."""
        self._runs = tuple(runs)
        self._settled: dict[Path, tuple[tuple, str | None]] = {}

    def draw_next(self) -> str | None:
        """Draw what is due for one run; returns what happened, or None if nothing was due."""
        for name, directory in self._runs:
            if states.state_of(directory) != states.DONE:
                continue
            records = _stamp(directory)
            if directory in self._settled and self._settled[directory][0] == records:
                continue
            if not figures_due(directory):
                self._settled[directory] = (records, None)
                continue
            try:
                _draw(directory)
            except Exception as error:  # a picture must not stop tracking; `undrawn` has it
                reason = str(error) or repr(error)
                self._settled[directory] = (records, reason)
                return f"{name}: figures not drawn: {reason}"
            self._settled[directory] = (records, None)
            return f"{name}: figures drawn"
        return None

    def prepare(self) -> None:
        """Import what drawing needs if a run is still open: seconds, better spent before its end.

        Raises ImportError.
        """
        if all(directory in self._settled for _, directory in self._runs):
            return
        import matplotlib.figure  # noqa: F401

        import experiments.figures  # noqa: F401

    def undrawn(self) -> list[Undrawn]:
        """The runs whose figures could not be drawn, in the order of the runs."""
        reasons = {path: reason for path, (_, reason) in self._settled.items() if reason}
        return [Undrawn(name, reasons[path]) for name, path in self._runs if path in reasons]


def draw_all(runs: Sequence[tuple[str, Path]]) -> list[Undrawn]:
    """Draw everything that is due now; returns the runs that could not be drawn."""
    drawing = Drawing(runs)
    while drawing.draw_next() is not None:
        pass
    return drawing.undrawn()


def draw_headline(output_dir: Path, sweep: str) -> str | None:
    """Draw the headline's arm beside its baseline on each benchmark, where both have finished.

    Into reports/<sweep>/qualitative/<benchmark>.png, which the report shows. Returns why nothing
    was drawn, if so.
    """
    folder = output_dir / "reports" / sweep
    plan = read_json(folder / "plan.json")
    asked = plan["headline"]
    arms = [asked["arm"], asked["baseline"]]
    runs = {(r["arm"], r["seed"]): output_dir / "runs" / r["run_id"] for r in plan["runs"]}
    seeds = sorted({seed for _, seed in runs})
    pairs = [[runs.get((arm, seed)) for arm in arms] for seed in seeds]
    pairs = [pair for pair in pairs if all(run is not None and _finished(run) for run in pair)]
    if not pairs:
        return f"{arms[0]} and {arms[1]} share no finished seed yet"
    sides = [(arm, [pair[i] for pair in pairs]) for i, arm in enumerate(arms)]
    try:
        for benchmark in read_json(pairs[0][0] / "evaluation.json")["benchmarks"]:
            _compare(sides, benchmark, folder / "qualitative" / f"{benchmark}.png")
    except Exception as error:  # a picture must not keep the report from being written
        return str(error) or repr(error)
    return None


def _finished(directory: Path) -> bool:
    return states.state_of(directory) == states.DONE and (directory / "evaluation.json").exists()


def _compare(sides: Sequence[tuple[str, list[Path]]], benchmark: str, figure: Path) -> None:
    from experiments.figures import Side, draw_comparison

    draw_comparison(*(Side(*side) for side in sides), benchmark, figure)


def figures_due(directory: Path) -> bool:
    """Whether a finished run lacks a figure or has one older than its predictions.

    A figure whose predictions were deleted to save space is kept.
    """
    if not _finished(directory):
        return False
    scored = read_json(directory / "evaluation.json")["benchmarks"]
    return any(_is_due(directory, name) for name in scored)


def _is_due(directory: Path, benchmark: str) -> bool:
    figure = directory / "figures" / f"{benchmark}.png"
    predictions = directory / "predictions" / f"{benchmark}.npz"
    if not figure.exists():
        return True
    return predictions.exists() and figure.stat().st_mtime < predictions.stat().st_mtime


def _draw(directory: Path) -> None:
    from experiments.figures import draw_run

    draw_run(directory)


def _stamp(directory: Path) -> tuple:
    """Changes when the run was evaluated again."""
    paths = [directory / "evaluation.json", *sorted(directory.glob("predictions/*.npz"))]
    return tuple(path.stat().st_mtime_ns for path in paths if path.exists())
