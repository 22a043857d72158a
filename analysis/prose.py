"""The text of report.md: the answer first, then the evidence, the conditions and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import published
from analysis.answer import starting_point
from analysis.chance import chance_sentence, chance_table
from analysis.metrics import heading, metric
from analysis.ordering import order_sentence, order_table
from analysis.plan import INITIALISATION
from analysis.reading import reading_section
from analysis.records import Records
from analysis.scaling import ScalingCurve
from analysis.summary import Summary, scored_arms
from analysis.tables import Table, to_markdown
from analysis.wording import interval_text

CAPTIONS = {
    "scaling": "Scores against the number of unlabelled clips (log axis, 0 included), with 95 % "
    "intervals. At 0 the flow loss acts on the labelled clips alone. Dashed lines and their "
    "bands: the yardstick arms.",
    "gain": "The same as paired differences to the smallest count: what seeds and scenes have in "
    "common cancels, so these intervals, not the ones above, say whether the curve rises.",
    "differences": "Paired differences to the baseline with 95 % intervals. The arrow in each "
    "title is the metric's better direction.",
    "scenes": "Test scenes, averaged over the shared seeds; a larger point is several scenes. "
    "Above the line the headline arm scores higher than its baseline.",
    "learning": "Mean over seeds; the band spans the lowest and the highest seed. The training "
    "loss holds different terms in different arms, so compare its shape, not its height.",
}


@dataclass(frozen=True)
class Contents:
    """Everything a report says, ready to be written down; `figures` maps names to PNGs."""

    records: Records
    summary: Summary
    curves: Sequence[ScalingCurve]
    answer: str
    tables: Mapping[str, Table]
    figures: Mapping[str, Path]


def markdown(contents: Contents, folder: Path) -> str:
    """The report as Markdown; image paths are relative to `folder`."""
    records, plan = contents.records, contents.records.plan
    parts = [
        f"# Report: {plan.sweep} (profile {plan.profile})",
        f"**{contents.answer}**",
        f"Question: {plan.question}" if plan.question else "",
        _findings(contents),
        _state(records),
        _optional(order_table(records, contents.summary), "##"),
        "## Results",
        *(_table(table) for name, table in contents.tables.items() if name != "cost"),
        _optional(chance_table(records, contents.summary), "###"),
        _scaling(contents.curves),
        _figures(contents.figures, folder),
        "## Cost",
        _table(contents.tables["cost"], title=False),
        "## What was compared",
        _conditions(records),
        "## Published figures, for orientation",
        _published(records),
        _provenance(records),
        reading_section(records, contents.summary),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _findings(contents: Contents) -> str:
    records, summary = contents.records, contents.summary
    lines = [chance_sentence(records, summary), order_sentence(records, summary)]
    lines.append(starting_point(records, summary))
    return "\n".join(f"- {line}" for line in lines if line)


def _state(records: Records) -> str:
    """Which runs are missing and why; empty for a finished sweep."""
    missing = records.runs[~records.runs["finished"]]
    if missing.empty:
        return ""
    lines = [
        "## Unfinished runs",
        f"{len(missing)} of {len(records.runs)} planned runs have no result. Intervals of an "
        "unfinished sweep are a look on the way: a claim needs the planned runs.",
        "",
        "| arm | seed | run | state | reason |",
        "| --- | ---: | --- | --- | --- |",
    ]
    for run in missing.itertuples():
        state = "done, not evaluated" if run.state == "done" else run.state
        reason = "" if pd.isna(run.reason) else " ".join(str(run.reason).split())
        reason = reason.replace("|", r"\|")
        lines.append(f"| {run.arm} | {run.seed} | {run.run_id} | {state} | {reason} |")
    return "\n".join(lines)


def _table(table: Table, title: bool = True) -> str:
    head = f"### {table.title}\n\n" if title else ""
    return f"{head}{to_markdown(table)}\n{table.note}"


def _optional(table: Table | None, level: str) -> str:
    if table is None:
        return ""
    return f"{level} {table.title}\n\n{to_markdown(table)}\n{table.note}"


def _scaling(curves: Sequence[ScalingCurve]) -> str:
    if not curves:
        return ""
    lines = [f"### Scaling with unlabelled clips ({curves[0].benchmark} scenes)", ""]
    for curve in curves:
        lines.append(f"- {heading(curve.metric)}: {_curve_text(curve)}")
    lines.append(
        "\nGain: largest minus smallest count. Slope: least squares on log2(1 + clips). Both are "
        "paired: whole runs and scenes are resampled together over all counts. A straight line "
        "is a summary here, not a claim about the shape of the curve."
    )
    return "\n".join(lines)


def _curve_text(curve: ScalingCurve) -> str:
    if curve.gain is None or curve.slope is None:
        return "fewer than two finished counts with a shared seed"
    return (
        f"gain {interval_text(curve.metric, curve.gain)}, slope per doubling "
        f"{interval_text(curve.metric, curve.slope)} ({curve.slope.seeds} seeds with every count)"
    )


def _figures(figures: Mapping[str, Path], folder: Path) -> str:
    own = {name: path for name, path in figures.items() if not name.startswith("qualitative/")}
    copied = [path for name, path in figures.items() if name.startswith("qualitative/")]
    lines = ["## Figures"] if figures else []
    for name, path in own.items():
        lines += ["", f"![{name}]({path.relative_to(folder).as_posix()})", "", CAPTIONS[name]]
    if copied:
        lines += [
            "",
            "### Predictions",
            "",
            "Chosen by rule, not by eye: the figures that the first finished seed of the headline "
            "arm and of its baseline wrote.",
        ]
        for path in copied:
            lines += ["", f"{path.stem}:", "", f"![{path.stem}]"
                      f"({path.relative_to(folder).as_posix()})"]  # fmt: skip
    return "\n".join(lines)


def _conditions(records: Records) -> str:
    plan = records.plan
    trained = records.runs[records.runs["finished"] & (records.runs["arm"] != INITIALISATION)]
    lines = [
        f"- Arms: {', '.join(scored_arms(records))}; baseline: {plan.baseline}.",
        f"- Seeds: {_listed(trained['seed'])}.",
        "- Labels: the clips counted as labelled are those of the target domain. The shared "
        "initialisation, and the replayed clips where the recipe has them, use labelled clips of "
        "a separate source domain on top, the same in every arm.",
        f"- {_budget('optimiser steps', trained, 'step')}",
        f"- {_budget('clips per step', trained, 'clips_per_step')}",
    ]
    for benchmark in records.benchmarks():
        rows = records.scores[records.scores["benchmark"] == benchmark]
        lines.append(f"- Test scenes, {benchmark}: {rows['scene'].nunique()}, the same for all.")
    return "\n".join(lines)


def _budget(what: str, runs: pd.DataFrame, column: str) -> str:
    """Says that a budget is equal in every arm, or warns with the values."""
    known = runs.dropna(subset=[column])
    values = sorted({int(value) for value in known[column]})
    if not values:
        return f"{what.capitalize()}: not recorded."
    if len(values) == 1:
        return f"{what.capitalize()}: {values[0]} in every arm."
    per_arm = known.groupby("arm", sort=False)[column].unique()
    detail = "; ".join(f"{arm}: {_listed(pd.Series(found))}" for arm, found in per_arm.items())
    return f"**{what.capitalize()} differ between runs, so the budget is not equal**: {detail}."


def _published(records: Records) -> str:
    if records.plan.scaling_prefix is not None:
        header = ("labelled", "unlabelled", *(heading(name) for name in published.METRICS))
        rows = [(labelled, str(count), *_shown(v)) for labelled, count, v in published.SCALING]
        tables = [Table("", header, tuple(rows))]
    else:
        header = ("variant", *(heading(name) for name in published.METRICS))
        tables = [
            Table("", (f"{name} variant", *header[1:]), tuple((k, *_shown(v)) for k, v in t))
            for name, t in ((n, tuple(t.items())) for n, t in published.FORMULATIONS.items())
        ]
    intro = (
        "From the paper (Table 4)" if records.plan.scaling_prefix else "From the paper (Table 1)"
    )
    note = (
        f"{intro}: full-size backbone, real data (static: ScanNet++, dynamic: OmniWorld), one "
        "seed, no intervals. Only directions can be compared with the figures above; absolute "
        "values and distances cannot."
    )
    return "\n\n".join([note, *(to_markdown(table) for table in tables)])


def _shown(values: Sequence[float]) -> list[str]:
    """With the digits of the paper: two for percentages, three for distances."""
    return [
        f"{value:.{2 if metric(name).unit == '%' else 3}f}"
        for name, value in zip(published.METRICS, values)
    ]


def _provenance(records: Records) -> str:
    finished = records.runs[records.runs["finished"]].drop_duplicates("run_id")
    facts = [
        ("plan made at commit", [records.plan.git_commit]),
        ("runs made at commit", finished["git_commit"]),
        ("device", finished["device"]),
        ("torch", finished["torch"]),
    ]
    lines = ["## Provenance", ""]
    lines += [f"- {name}: {_listed(pd.Series(values))}" for name, values in facts]
    if finished["git_dirty"].eq(True).any():
        lines.append("- some runs were made with uncommitted changes in the working tree")
    lines.append(
        f"- rebuild: `python analysis/report.py sweep={records.plan.sweep}`; every score by run "
        "and scene: `tables/scenes.csv`; all metrics: `tables/all-scores.csv`, "
        "`tables/all-differences.csv`; for machines: `results.json`"
    )
    return "\n".join(lines)


def _listed(values: pd.Series) -> str:
    known = [str(value) for value in sorted(values.dropna().unique())]
    return ", ".join(known) if known else "not recorded"
