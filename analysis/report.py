"""Rebuild the report of a sweep from its records.

usage: python analysis/report.py sweep=NAME [output_dir=outputs] [to=FOLDER] [allow_mixed=true]

Reads   <output_dir>/reports/NAME/plan.json and <output_dir>/runs/*
Writes  <output_dir>/reports/NAME/{report.html, report.md, results.json, tables/, figures/}
        (into FOLDER where one is given). report.html holds everything it shows.
Works on a sweep that is still running: what is missing is marked, and nothing is claimed.
allow_mixed: compare runs made by different code or on different training data, and say so.
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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import tables
from analysis.answer import answer
from analysis.arguments import parse_arguments
from analysis.console import console_text
from analysis.document import Document, Section, alone, write_document
from analysis.gallery import CURVES, Gallery, draw_gallery
from analysis.markup import Table
from analysis.metrics import FAMILIES, HEADLINE, MOTION
from analysis.records import Records, load_records
from analysis.scaling import ScalingCurve, curve_arms, scaling_curve
from analysis.sections.controls import controls_section
from analysis.sections.figures import figures_section
from analysis.sections.front import banner, front_blocks
from analysis.sections.limits import limits_section
from analysis.sections.literature import published_section
from analysis.sections.provenance import provenance_section, unfinished_section
from analysis.sections.results import (
    cost_section,
    order_section,
    questions_section,
    results_section,
)
from analysis.sections.scaling import scaling_section
from analysis.sections.statistics import statistics_section
from analysis.sections.tuning import tuning_section
from analysis.summary import Summary, summarise
from analysis.tuning_records import SWEEP as TUNING
from analysis.up_to_date import digest_of_inputs, forget, keep, said_of
from analysis.verdict_words import verdict_record, verdict_table
from analysis.verdicts import Verdict, answer_questions
from flow3r.config import require_choice
from flow3r.errors import ConfigError, DataError
from flow3r.files import write_json, write_text

MOTION_TITLE = ", static and moving pixels apart"
SETTINGS = {"sweep": None, "output_dir": "outputs", "to": "", "allow_mixed": "false"}


@dataclass(frozen=True)
class ReportSummary:
    """What a sweep prints at its end: the headline's scores, the answer, the report's path."""

    table: str
    answer: str
    path: Path


@dataclass(frozen=True)
class Findings:
    """Everything a report says, before it is said."""

    records: Records
    summary: Summary
    answers: tuple[Verdict, ...]
    curves: list[ScalingCurve]
    tables: dict[str, Table]
    gallery: Gallery


def write_report(
    output_dir: Path, sweep: str, folder: Path | None = None, allow_mixed: bool = False
) -> ReportSummary:
    """Write the report of a sweep, finished or not. DataError without a plan or a finished run."""
    if sweep == TUNING:  # its arms are candidates, which nobody compares as arms
        raise DataError(f"sweep={TUNING} has a report of its own: python analysis/tuning.py")
    folder = folder or output_dir / "reports" / sweep
    with alone(folder):
        return _write_report(load_records(output_dir, sweep, allow_mixed), folder)


def refresh_report(output_dir: Path, sweep: str) -> ReportSummary:
    """The report of a sweep, written if it does not say yet what the records say."""
    folder = output_dir / "reports" / sweep
    with alone(folder):
        inputs = digest_of_inputs(output_dir, sweep)
        said = said_of(folder, inputs)
        if said is not None:
            return ReportSummary(**said, path=folder / "report.html")
        summary = _write_report(load_records(output_dir, sweep), folder)
        keep(folder, inputs, {"table": summary.table, "answer": summary.answer})
        return summary


def _write_report(records: Records, folder: Path) -> ReportSummary:
    forget(folder)
    summary = summarise(records)
    curves = all_curves(records, summary)
    shown = write_tables(records, summary, folder / "tables")
    gallery = draw_gallery(records, summary, curves, folder / "figures")
    found = Findings(records, summary, answer_questions(records), curves, shown, gallery)
    verdicts = pd.DataFrame([verdict_record(answered) for answered in found.answers])
    tables.write_tables(verdict_table(found.answers), verdicts, folder / "tables" / "questions")
    page = document(found)
    write_json(folder / "results.json", results(found))
    text = console_text(records, summary)
    return ReportSummary(text, answer(records), write_document(page, folder))


def all_curves(records: Records, summary: Summary) -> list[ScalingCurve]:
    """The scaling curves of a scaling sweep, the headline's first; none for another sweep."""
    if records.plan.scaling_prefix is None or not curve_arms(records):
        return []
    asked = records.plan.headline
    benchmarks = dict.fromkeys((asked.benchmark, *records.benchmarks()))
    names = dict.fromkeys((*asked.metrics, *CURVES))
    places = [(benchmark, name) for benchmark in benchmarks for name in names]
    curves = [scaling_curve(records, summary, *place) for place in places]
    return [curve for curve in curves if len(curve.points)]


def document(found: Findings) -> Document:
    """The report: a page to read in two minutes, and what stands behind it."""
    records, summary, plan = found.records, found.summary, found.records.plan
    pictures = found.gallery.pictures
    sections: list[Section | None] = [
        unfinished_section(records),
        questions_section(found.answers),
        figures_section(found.gallery),
        scaling_section(found.curves),
        tuning_section(records),
        results_section(records, summary, found.tables),
        order_section(records, summary),
        statistics_section(records, summary, found.answers),
        controls_section(records),
        cost_section(found.tables["cost"]),
        published_section(records),
        provenance_section(records),
        limits_section(records),
    ]
    return Document(
        title=f"Report: {plan.sweep} (profile {plan.profile})",
        subtitle=f"{len(plan.arms)} arms, {len(records.runs)} runs planned, "
        f"{int(records.runs['finished'].sum())} finished.",
        banner=banner(records),
        front=front_blocks(records, summary, found.answers, found.curves, pictures.get("headline")),
        sections=tuple(section for section in sections if section is not None),
    )


def results(found: Findings) -> dict[str, Any]:
    """results.json: the numbers of the report, for machines; null where there is no interval."""
    records, summary = found.records, found.summary
    return {
        "schema": 1,
        "sweep": records.plan.sweep,
        "profile": records.plan.profile,
        "complete": records.complete,
        "arms": summary.arms.to_dict("records"),
        "comparisons": summary.comparisons.to_dict("records"),
        "verdicts": [verdict_record(answered) for answered in found.answers],
        "mixed": list(records.mixed),
    }


def report_tables(records: Records, summary: Summary) -> dict[str, tuple[Table, pd.DataFrame]]:
    """Every table of the report with the plain numbers behind it, by file name."""
    made: dict[str, tuple[Table, pd.DataFrame]] = {}
    asked = records.plan.headline.benchmark  # comes first
    for suffix, title, wanted in (("", "", HEADLINE), ("-motion", MOTION_TITLE, MOTION)):
        for benchmark in sorted(records.benchmarks(), key=lambda name: name != asked):
            metrics = tables.shown_metrics(summary, benchmark, wanted)
            if metrics:
                pair = _benchmark_tables(records, summary, benchmark, metrics)
                for (table, data), part in zip(pair, ("", "-differences")):
                    named = replace(table, title=f"{table.title}{title}")
                    made[f"{benchmark}{suffix}{part}"] = (named, data)
    for family in FAMILIES:
        table = tables.family_table(records, summary, family)
        if table is not None:
            made[family] = (table, tables.family_data(summary, family))
    made["cost"] = (tables.cost_table(records), records.runs)
    return made


def write_tables(records: Records, summary: Summary, folder: Path) -> dict[str, Table]:
    """Write every table as Markdown, CSV and LaTeX; returns them by file name."""
    made = report_tables(records, summary)
    for name, (table, data) in made.items():
        tables.write_tables(table, data, folder / name)
    write_text(folder / "all-scores.csv", summary.arms.to_csv(index=False))
    write_text(folder / "all-differences.csv", summary.comparisons.to_csv(index=False))
    write_text(folder / "scenes.csv", _scene_rows(records).to_csv(index=False))
    return {name: table for name, (table, _) in made.items()}


def _benchmark_tables(
    records: Records, summary: Summary, benchmark: str, metrics: Sequence[str]
) -> tuple[tuple[Table, pd.DataFrame], tuple[Table, pd.DataFrame]]:
    """Scores and differences of one benchmark."""
    scores = tables.benchmark_table(records, summary, benchmark, metrics)
    differences = tables.difference_table(records, summary, benchmark, metrics)
    rows = _chosen(summary.comparisons, benchmark, metrics)
    others = {records.plan.baseline_of(arm.name) for arm in records.plan.arms}
    rows = rows[rows["baseline"].isin(others)]
    return (scores, _chosen(summary.arms, benchmark, metrics)), (differences, rows)


def _chosen(table: pd.DataFrame, benchmark: str, metrics: Sequence[str]) -> pd.DataFrame:
    return table[(table["benchmark"] == benchmark) & table["metric"].isin(metrics)]


def _scene_rows(records: Records) -> pd.DataFrame:
    keys = ["arm", "seed", "run_id", "benchmark", "scene"]
    wide = records.scores.pivot(index=keys, columns="metric", values="value")
    return wide.reset_index()


def parse_settings(arguments: Sequence[str]) -> dict[str, str]:
    """`key=value` arguments; ConfigError names the valid keys."""
    settings = parse_arguments(arguments, SETTINGS, "report.py")
    require_choice("allow_mixed", settings["allow_mixed"], ("true", "false"))
    return settings


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    try:
        settings = parse_settings(arguments)
        folder = Path(settings["to"]) if settings["to"] else None
        mixed = settings["allow_mixed"] == "true"
        summary = write_report(Path(settings["output_dir"]), settings["sweep"], folder, mixed)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{summary.table}\n{summary.answer}\n\nreport: {summary.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
