"""Rebuild the report of a sweep from its records.

usage: python analysis/report.py sweep=NAME [output_dir=outputs]

Reads   <output_dir>/reports/NAME/plan.json and <output_dir>/runs/*
Writes  <output_dir>/reports/NAME/{report.md, results.json, tables/, figures/}
Works on a sweep that is still running: what is missing is marked.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python puts this file's folder first, where statistics.py would hide the standard module.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):  # answered before the imports that take seconds
        print(__doc__.strip())
        sys.exit(0)

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import figures, tables
from analysis.answer import answer
from analysis.console import console_text
from analysis.metrics import HEADLINE, MOTION
from analysis.prose import Contents, markdown
from analysis.records import Records, collect_figures, learning_curves, load_records
from analysis.scaling import ScalingCurve, curve_arms, scaling_curve
from analysis.statistics import RESAMPLES
from analysis.style import save_figure
from analysis.summary import Summary, summarise
from flow3r.errors import ConfigError, DataError
from flow3r.files import write_json, write_text

CURVES = ("rra_15", "rta_30", "auc_30")
FOREST = ("rra_15", "rta_30", "auc_30", "pointmap_mse")
MOTION_TITLE = ", static and moving pixels apart"
SETTINGS = {"sweep": None, "output_dir": "outputs"}


@dataclass(frozen=True)
class ReportSummary:
    """What a sweep prints at its end: the headline's scores, the answer, the report's path."""

    table: str
    answer: str
    path: Path


def write_report(output_dir: Path, sweep: str, resamples: int = RESAMPLES) -> ReportSummary:
    """Write the report of a sweep, finished or not. DataError without a plan or a finished run."""
    records = load_records(output_dir, sweep)
    summary = summarise(records, resamples)
    curves = headline_curves(records, summary)
    folder = output_dir / "reports" / sweep
    text = answer(records, summary, curves)
    shown = write_tables(records, summary, folder / "tables")
    drawn = write_figures(records, summary, folder / "figures")
    contents = Contents(records, summary, curves, text, shown, drawn)
    write_json(folder / "results.json", results(records, summary))
    write_text(folder / "report.md", markdown(contents, folder))
    return ReportSummary(console_text(records, summary), text, folder / "report.md")


def headline_curves(records: Records, summary: Summary) -> list[ScalingCurve]:
    """The scaling curves that answer a scaling sweep; none for another sweep."""
    if records.plan.scaling_prefix is None:
        return []
    asked = records.plan.headline
    return [scaling_curve(records, summary, asked.benchmark, name) for name in asked.metrics]


def results(records: Records, summary: Summary) -> dict[str, Any]:
    """results.json: the numbers of the report, for machines; null where there is no interval."""
    return {
        "schema": 1,
        "sweep": records.plan.sweep,
        "profile": records.plan.profile,
        "complete": records.complete,
        "arms": summary.arms.to_dict("records"),
        "comparisons": summary.comparisons.to_dict("records"),
    }


def write_tables(records: Records, summary: Summary, folder: Path) -> dict[str, tables.Table]:
    """Write every table; returns those shown in the report, by file name."""
    shown: dict[str, tables.Table] = {}
    asked = records.plan.headline.benchmark  # comes first
    for suffix, title, wanted in (("", "", HEADLINE), ("-motion", MOTION_TITLE, MOTION)):
        for benchmark in sorted(records.benchmarks(), key=lambda name: name != asked):
            metrics = tables.shown_metrics(summary, benchmark, wanted)
            if not metrics:
                continue
            name = f"{benchmark}{suffix}"
            scores = _titled(tables.benchmark_table(records, summary, benchmark, metrics), title)
            shown[name] = scores
            arms = summary.arms
            tables.write_tables(scores, _chosen(arms, benchmark, metrics), folder / name)
            baseline = records.plan.baseline
            differences = _titled(
                tables.difference_table(records, summary, benchmark, metrics, baseline), title
            )
            shown[f"{name}-differences"] = differences
            rows = _chosen(summary.comparisons, benchmark, metrics)
            rows = rows[rows["baseline"] == baseline]
            tables.write_tables(differences, rows, folder / f"{name}-differences")
    shown["cost"] = tables.cost_table(records)
    tables.write_tables(shown["cost"], records.runs, folder / "cost")
    write_text(folder / "all-scores.csv", summary.arms.to_csv(index=False))
    write_text(folder / "all-differences.csv", summary.comparisons.to_csv(index=False))
    write_text(folder / "scenes.csv", _scene_rows(records).to_csv(index=False))
    return shown


def _titled(table: tables.Table, addition: str) -> tables.Table:
    return replace(table, title=f"{table.title}{addition}")


def write_figures(records: Records, summary: Summary, folder: Path) -> dict[str, Path]:
    """Write every figure as PNG and PDF; returns the PNGs by name, in the order of the report."""
    shutil.rmtree(folder, ignore_errors=True)
    drawn: dict[str, Any] = {}
    benchmarks, plan = records.benchmarks(), records.plan
    if plan.scaling_prefix is not None and curve_arms(records):
        wanted = [(b, m) for b in benchmarks for m in CURVES]
        curves = [scaling_curve(records, summary, b, m) for b, m in wanted]
        curves = [curve for curve in curves if len(curve.points)]
        if curves:
            drawn["scaling"] = figures.scaling_figure(records, curves)
            drawn["gain"] = figures.gain_figure(records, curves)
    metrics = [m for m in FOREST if (summary.comparisons["metric"] == m).any()]
    if metrics and (summary.comparisons["baseline"] == plan.baseline).any():
        drawn["differences"] = figures.forest_figure(records, summary, metrics)
    asked = plan.headline
    keys = {"arm": asked.arm, "baseline": asked.baseline, "benchmark": asked.benchmark}
    metrics = [m for m in asked.metrics if summary.difference(*keys.values(), m) is not None]
    if metrics:
        drawn["scenes"] = figures.scene_figure(records, **keys, metrics=metrics)
    curves_table = learning_curves(records)
    learning = figures.learning_figure(records, curves_table, curve_choice(curves_table))
    if learning is not None:
        drawn["learning"] = learning
    paths = {name: save_figure(figure, folder / name)[0] for name, figure in drawn.items()}
    for copy in collect_figures(records, [asked.arm, asked.baseline], folder / "qualitative"):
        paths[f"qualitative/{copy.stem}"] = copy
    return paths


def curve_choice(curves: pd.DataFrame) -> list[str]:
    """The training loss and the validation curves of the headline metrics."""
    recorded = set(curves["metric"])
    wanted = sorted(
        (n for n in recorded if n.startswith("validation/") and n.rsplit("/", 1)[-1] in CURVES),
        key=lambda name: (name.rsplit("/", 1)[0], CURVES.index(name.rsplit("/", 1)[-1])),
    )
    return ["train/loss", *wanted]


def _chosen(table: pd.DataFrame, benchmark: str, metrics: Sequence[str]) -> pd.DataFrame:
    return table[(table["benchmark"] == benchmark) & table["metric"].isin(metrics)]


def _scene_rows(records: Records) -> pd.DataFrame:
    keys = ["arm", "seed", "run_id", "benchmark", "scene"]
    wide = records.scores.pivot(index=keys, columns="metric", values="value")
    return wide.reset_index()


def parse_settings(arguments: Sequence[str]) -> dict[str, str]:
    """`key=value` arguments; ConfigError names the valid keys."""
    settings = {key: value for key, value in SETTINGS.items() if value is not None}
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if not separator or key not in SETTINGS or not value:
            choices = [f"{key}=..." for key in SETTINGS]
            raise ConfigError(f"{argument!r} is not a setting; valid settings are {choices}")
        settings[key] = value
    if "sweep" not in settings:
        raise ConfigError("sweep=NAME is missing; see python analysis/report.py --help")
    return settings


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    try:
        settings = parse_settings(arguments)
        summary = write_report(Path(settings["output_dir"]), settings["sweep"])
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{summary.table}\n{summary.answer}\n\nreport: {summary.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
