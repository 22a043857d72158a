"""The benchmark table: published figures and ours, one under the other and never mixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import published
from analysis.benchmark_records import BenchmarkRecords, Evaluation, Score
from analysis.markup import Table
from analysis.metrics import ARROWS, metric

OWN = "Own evaluations, by the protocols of this repository"
NOT_RUN, UNDEFINED = "", "–"


@dataclass(frozen=True)
class Column:
    """How a metric is shown in the table."""

    metric: str
    label: str
    decimals: int
    unit: float = 1.0
    """What the recorded value is divided by."""


COLUMNS = {
    "dynamic": (
        Column("rpe_translation", "RPE t", 3),
        Column("rpe_rotation", "RPE r (deg)", 3),
        Column("pointmap_mse", "MSE", 3),
        Column("f_score_5", "F@5", 3, 100.0),
    ),
    "static": (
        Column("rta_30", "RTA@30 (%)", 2),
        Column("auc_30", "AUC@30 (%)", 2),
        Column("pointmap_mse", "MSE", 3),
        Column("f_score_5", "F@5", 3, 100.0),
    ),
    "depth": (
        Column("depth_abs_rel", "AbsRel", 3),
        Column("depth_delta_1", "delta < 1.25 (%)", 1),
    ),
}
"""Of each half; f-scores as shares of 1, like the paper."""

PUBLISHED = {"dynamic": (published.DYNAMIC, 2), "static": (published.STATIC, 3), "depth": ({}, 0)}
"""Benchmark -> figures, and the number of the paper's table."""

DEFINITIONS = (
    "MSE and F@5 by our own definitions, since the paper gives none: the predicted points of all "
    "frames are moved to the truth by one similarity; MSE is the mean squared distance of "
    "corresponding pixels in units of the mean point distance, F@5 the f-score at 5 % of it. "
    "Published and own figures of these two can therefore not be compared; for the others a "
    "protocol's source says what is known of the paper's own."
)
OWN_NOTE = (
    "Own rows: mean and half of the 95 % interval over scenes (jackknife). Empty: not run. "
    "–: run, but not defined for this prediction."
)


def halves(records: BenchmarkRecords) -> dict[str, tuple[Table, pd.DataFrame]]:
    """The table and its plain numbers for each family that is published or was asked for."""
    asked = {benchmark["family"] for benchmark in records.benchmarks}
    families = [name for name in COLUMNS if name in asked or PUBLISHED[name][0]]
    return {name: (_table(records, name), _data(records, name)) for name in families}


def _table(records: BenchmarkRecords, family: str) -> Table:
    figures, number = PUBLISHED[family]
    labels = _labels(records, family)
    shown = COLUMNS[family]
    header = ["method"] + [
        f"{label} {column.label} {ARROWS[metric(column.metric).direction]}"
        for label in labels
        for column in shown
    ]
    rows: list[tuple[str, ...]] = []
    headings = set()
    if figures:
        headings.add(0)
        rows.append(_heading(f"Published: the paper's Table {number}, not run here", header))
        rows += [
            (method, *_published(figures, labels, place, shown))
            for place, method in enumerate(published.METHODS)
        ]
    headings.add(len(rows))
    rows.append(_heading(OWN, header))
    rows += [(model, *_own(records, model, labels, shown)) for model in records.models]
    note = " ".join([OWN_NOTE, *([DEFINITIONS] if family != "depth" else [])])
    title = f"{family.capitalize()} benchmarks"
    return Table(title, tuple(header), tuple(rows), note=note, headings=frozenset(headings))


def _heading(text: str, header: Sequence[str]) -> tuple[str, ...]:
    return (text, *("" for _ in header[1:]))


def _labels(records: BenchmarkRecords, family: str) -> dict[str, str | None]:
    """Label -> name of the benchmark, None where it was not asked for; the paper's come first."""
    asked = {b["label"]: b["name"] for b in records.benchmarks if b["family"] == family}
    return {**dict.fromkeys(PUBLISHED[family][0]), **asked}


def _published(
    figures: Mapping[str, Sequence[Sequence[float]]],
    labels: Iterable[str],
    method: int,
    shown: Sequence[Column],
) -> list[str]:
    cells = []
    for label in labels:
        values = figures[label][method] if label in figures else [None] * len(shown)
        for value, column in zip(values, shown, strict=True):
            cells.append(NOT_RUN if value is None else f"{value:.{column.decimals}f}")
    return cells


def _own(
    records: BenchmarkRecords,
    model: str,
    labels: Mapping[str, str | None],
    shown: Sequence[Column],
) -> list[str]:
    cells = []
    for name in labels.values():
        found = None if name is None else records.evaluations.get((model, name))
        for column in shown:
            cells.append(_cell(found, column))
    return cells


def _cell(found: Evaluation | None, column: Column) -> str:
    if found is None:
        return NOT_RUN
    score = found.scores.get(column.metric)
    if score is None:
        return UNDEFINED
    text = f"{score.mean / column.unit:.{column.decimals}f}"
    if score.low is None:
        return text
    half = (score.high - score.low) / 2 / column.unit
    return f"{text} ± {half:.{column.decimals}f}"


def _data(records: BenchmarkRecords, family: str) -> pd.DataFrame:
    """One row per method, benchmark and metric; f-scores in percent throughout."""
    rows: list[dict[str, Any]] = []
    for label, figures in PUBLISHED[family][0].items():
        for method, values in zip(published.METHODS, figures, strict=True):
            for column, value in zip(COLUMNS[family], values, strict=True):
                score = Score(round(value * column.unit, 6), None, None, 0)
                rows.append(_row(method, "published", label, column.metric, score))
    for found in records.evaluations.values():
        if found.protocol.family == family:
            for name, score in found.scores.items():
                rows.append(_row(found.model, "own", found.protocol.label, name, score))
    return pd.DataFrame(rows)


def _row(method: str, source: str, benchmark: str, name: str, score: Score) -> dict[str, Any]:
    return {
        "method": method,
        "source": source,
        "benchmark": benchmark,
        "metric": name,
        "value": score.mean,
        "low": score.low,
        "high": score.high,
        "scenes": score.scenes or None,
    }
