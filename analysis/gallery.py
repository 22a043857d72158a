"""Which figures a report has: each drawn for a page and for a column, with its caption."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import figures
from analysis.document import Picture
from analysis.metrics import metric
from analysis.records import Records, learning_curves, run_figures
from analysis.scaling import ScalingCurve
from analysis.style import COLUMN_WIDTH, PAGE_WIDTH, save_figure
from analysis.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = ("rra_15", "rta_30", "auc_30", "pointmap_mse")
FOREST = ("rra_15", "rta_30", "auc_30", "pointmap_mse")
PROFILED = ("auc_30", "pointmap_mse")
SCATTERED = "pointmap_mse"  # shown scene by scene beside the headline's metrics: it has no ties
COLUMN = "-column"  # the suffix of the narrow files


@dataclass(frozen=True)
class Sketch:
    """A figure that can be drawn at any width; `draw` gives None where there is nothing to show."""

    name: str
    caption: str
    draw: Callable[..., Figure | None]  # width=
    absent: str = ""


@dataclass(frozen=True)
class Gallery:
    """pictures in the order of the report; left_out: a sentence for each that is missing."""

    pictures: dict[str, Picture]
    left_out: tuple[str, ...]


def draw_gallery(
    records: Records, summary: Summary, curves: list[ScalingCurve], folder: Path
) -> Gallery:
    """Write every figure as PNG and PDF, for a page and for a column."""
    shutil.rmtree(folder, ignore_errors=True)
    pictures, left_out = {}, []
    for sketch in sketches(records, summary, curves):
        paths = [_write(sketch, folder, width) for width in (PAGE_WIDTH, COLUMN_WIDTH)]
        if all(path is not None for path in paths):
            pictures[sketch.name] = Picture(sketch.name, sketch.caption, *paths)
        elif sketch.absent:
            left_out.append(sketch.absent)
    found = [_copied(picture, folder) for picture in qualitative_pictures(records)]
    if not found:
        left_out.append(
            "No predictions are shown: the runs' figures have not been drawn. A sweep draws them "
            "at its end; the same sweep command again does it for finished runs."
        )
    return Gallery({**pictures, **{p.name: p for p in found}}, tuple(left_out))


def _write(sketch: Sketch, folder: Path, width: float) -> Path | None:
    figure = sketch.draw(width=width)
    if figure is None:
        return None
    stem = sketch.name if width >= PAGE_WIDTH else f"{sketch.name}{COLUMN}"
    return save_figure(figure, folder / stem)[0]


def sketches(records: Records, summary: Summary, curves: list[ScalingCurve]) -> Iterator[Sketch]:
    """The figures of a sweep's report, the ones that answer its question first."""
    asked = records.plan.headline
    yield from _headline(records, summary, curves)
    known = {row["metric"] for row in summary.comparisons.to_dict("records")}
    wanted = [name for name in FOREST if name in known]
    if wanted:
        yield Sketch(
            "differences",
            f"Paired differences to {_baseline(records)} on every benchmark, with 95 % "
            "intervals. A filled marker: the interval excludes zero. "
            "A cross: one run, compared with the run of its seed.",
            partial(figures.forest_figure, records, summary, wanted),
        )
    yield from _scenes(records, summary)
    yield Sketch(
        "profiles",
        f"Performance profiles on the {asked.benchmark} scenes: the share of all runs and scenes "
        "that do better than a threshold, with 95 % bands; below, by how much each arm's share "
        f"exceeds that of {_baseline(records)} on the same seeds and scenes (95 % band for "
        f"{asked.arm}).",
        partial(figures.profile_figure, records, asked.benchmark, PROFILED),
    )
    yield Sketch(
        "improvement",
        f"How probable it is that one run of an arm beats one run of {_baseline(records)} on a "
        f"scene, by {metric(PROFILED[0]).label} (ties count half), with 95 % intervals.",
        partial(figures.improvement_figure, records, records.benchmarks(), PROFILED[0]),
    )
    yield Sketch(
        "conditions",
        f"{metric(asked.metrics[-1]).label} on the {asked.benchmark} scenes against what a scene "
        "shows, in groups of equal size: scores above, paired differences to "
        f"{_baseline(records)} below (95 % interval for {asked.arm}).",
        partial(figures.conditions_figure, records, asked.benchmark, asked.metrics[-1]),
        absent=_no_conditions(records),
    )
    yield from _learning(records)


def _baseline(records: Records) -> str:
    """The baseline's name, or that every arm has its own."""
    names = {records.plan.baseline_of(arm.name) for arm in records.plan.arms}
    return names.pop() if len(names) == 1 else "each arm's baseline"


def _no_conditions(records: Records) -> str:
    """Why there is no figure of error against motion and covisibility."""
    missing = "Error against motion and covisibility is not shown: "
    if records.covariates.empty:
        return (
            f"{missing}the evaluations hold no covariates of the scenes. `python "
            "experiments/evaluate.py run=DIRECTORY` adds them to a run that kept its predictions."
        )
    return f"{missing}there are too few scenes to group them."


def _scenes(records: Records, summary: Summary) -> Iterator[Sketch]:
    asked = records.plan.headline
    keys = (asked.arm, asked.baseline, asked.benchmark)
    wanted = dict.fromkeys((*asked.metrics, SCATTERED))
    shared = [name for name in wanted if summary.difference(*keys, name) is not None]
    if shared:
        yield Sketch(
            "scenes",
            f"Every {asked.benchmark} test scene: {asked.arm} against {asked.baseline}, averaged "
            "over the shared seeds. A score with few levels is counted on a grid.",
            partial(figures.scene_figure, records, *keys, shared),
        )


def _headline(records: Records, summary: Summary, curves: list[ScalingCurve]) -> Iterator[Sketch]:
    asked = records.plan.headline
    if curves:
        yield from _scaling(records, curves)
        return
    metrics = [m for m in asked.metrics if (summary.comparisons["metric"] == m).any()]
    if metrics:
        yield Sketch(
            "headline",
            f"Paired differences to {_baseline(records)} on the {asked.benchmark} scenes, with "
            "95 % intervals. A filled marker: the interval excludes zero. "
            "A cross: one run, compared with the run of its seed.",
            partial(figures.forest_figure, records, summary, metrics, [asked.benchmark]),
        )


def _scaling(records: Records, curves: list[ScalingCurve]) -> Iterator[Sketch]:
    asked = records.plan.headline
    front = [c for c in curves if c.benchmark == asked.benchmark and c.metric in asked.metrics]
    every = [c for b in records.benchmarks() for m in CURVES for c in curves
             if (c.benchmark, c.metric) == (b, m)]  # fmt: skip
    yield Sketch(
        "headline",
        "Scores against the number of unlabelled clips (log axis, 0 included), with 95 % "
        "intervals; dashed lines and bands: arms beside the curve. All fitted shapes: the chosen "
        "one solid, its extrapolation dashed. Its band is for these test scenes, so it is "
        "narrower than the intervals, which are for new ones.",
        partial(figures.scaling_figure, records, front),
    )
    if not every:
        return
    yield Sketch(
        "scaling",
        "Scores against unlabelled clips, as above, for every benchmark.",
        partial(figures.scaling_figure, records, every),
    )
    yield Sketch(
        "gain",
        "The same as paired differences to the smallest count: what seeds and scenes have in "
        "common cancels, so these intervals, not the ones above, say whether the curve rises.",
        partial(figures.gain_figure, records, every),
    )


def _learning(records: Records) -> Iterator[Sketch]:
    curves = learning_curves(records)
    yield Sketch(
        "learning",
        "Validation during training: mean over seeds; the band spans the lowest and the highest "
        "seed. Validation scenes are separate from the test scenes.",
        partial(figures.learning_figure, records, curves, figures.validation_curves(curves)),
        absent="No validation curves were recorded.",
    )
    yield Sketch(
        "training",
        "Terms of the training loss before their weights: mean over seeds and range. They are "
        "measured on the batches of each arm, which hold different clips.",
        partial(figures.learning_figure, records, curves, figures.training_curves(curves)),
    )


def qualitative_pictures(records: Records) -> list[Picture]:
    """The headline's arms side by side where that was drawn; else the figures of their runs."""
    asked = records.plan.headline
    drawn = records.output_dir / "reports" / records.plan.sweep / "qualitative"
    found = [
        Picture(
            f"qualitative/{benchmark}",
            f"{benchmark.capitalize()} scenes as {asked.arm} and {asked.baseline} see them. Chosen "
            "by rule, not by eye: the scenes where the paired difference in pointmap MSE, averaged "
            "over the shared seeds, is best, median and worst.",
            drawn / f"{benchmark}.png",
        )
        for benchmark in records.benchmarks()
        if (drawn / f"{benchmark}.png").is_file()
    ]
    return found or [
        Picture(
            f"qualitative/{arm}-{image.stem}",
            f"{arm}, {image.stem} scenes: the best, the median and the worst of the arm's first "
            "finished seed by pointmap MSE.",
            image,
        )
        for arm in dict.fromkeys((asked.arm, asked.baseline))
        for image in run_figures(records, arm)
    ]


def _copied(picture: Picture, folder: Path) -> Picture:
    """The same picture, in the report's own folder."""
    target = folder / f"{picture.name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    return replace(picture, png=Path(shutil.copyfile(picture.png, target)))
