"""The tables of a report: scores, paired differences, cost."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.markup import (
    Table,
    latex_escape,
    to_latex,
    to_markdown,
    to_text,
    write_tables,
)
from analysis.metrics import FAMILIES, heading, number
from analysis.plan import INITIALISATION
from analysis.ranking import rank_arms
from analysis.records import Records
from analysis.summary import CHANCE, Row, Summary, excludes_zero, scored_arms

TIED = "†"
SCORE_NOTE = (
    "Mean ± half of the 95 % interval over seeds and scenes. Bold: the best mean of the trained "
    "arms; †: not distinguishable from it (paired over seeds and scenes, 95 %, Holm over the arms "
    "of the column). Yardsticks and the initialisation do not compete. "
    "chance: the best constant prediction."
)


MACHINE = (
    ("train_seconds", "training (s)", 1, ".0f"),
    ("seconds", "total (s)", 1, ".0f"),
    ("parameters", "parameters (M)", 1e6, ".3f"),
    ("peak_memory_bytes", "peak memory (MiB)", 2**20, ".0f"),
)
RECORDED_SOMETIMES = (
    ("train_flops", "training (TFLOP)", 1e12, ".3g"),
    ("energy_joules", "energy (kJ)", 1e3, ".3g"),
)
BUDGET = (
    ("step", "steps", 1, ".0f"),
    ("clips_seen", "clips seen", 1, ".0f"),
    ("unlabelled_seen", "of them unlabelled", 1, ".0f"),
    ("labelled_clips", "labelled clips", 1, ".0f"),
    ("unlabelled_clips", "unlabelled clips", 1, ".0f"),
    ("label_epochs", "epochs over labels", 1, ".1f"),
)


def shown_metrics(summary: Summary, benchmark: str, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted metrics that at least one arm (other than chance) has."""
    rows = summary.arms[(summary.arms["benchmark"] == benchmark) & (summary.arms["arm"] != CHANCE)]
    return [name for name in wanted if name in set(rows["metric"])]


def benchmark_table(
    records: Records, summary: Summary, benchmark: str, metrics: Sequence[str]
) -> Table:
    """Mean ± half interval of every arm, then chance; best and tied arms of a metric marked."""
    rows, marked = _score_rows(records, summary, benchmark, metrics)
    return Table(
        f"{benchmark.capitalize()} scenes", _score_header(metrics), tuple(rows), marked, SCORE_NOTE
    )


def family_table(records: Records, summary: Summary, family: str) -> Table | None:
    """One family of metrics (FAMILIES) on every benchmark, one half each; None if none was scored.

    The columns are the metrics that some benchmark has.
    """
    metrics = [
        name
        for name in FAMILIES[family]
        if any(shown_metrics(summary, benchmark, [name]) for benchmark in records.benchmarks())
    ]
    rows, marked, headings = [], set(), set()
    for benchmark in records.benchmarks():
        if not shown_metrics(summary, benchmark, metrics):
            continue
        headings.add(len(rows))
        rows.append((f"{benchmark.capitalize()} scenes", *("" for _ in metrics), ""))
        half, best = _score_rows(records, summary, benchmark, metrics)
        marked |= {(row + len(rows), column) for row, column in best}
        rows += half
    if not rows:
        return None
    header = _score_header(metrics)
    title = f"{family.capitalize()} metrics"
    return Table(title, header, tuple(rows), frozenset(marked), SCORE_NOTE, frozenset(headings))


def family_data(summary: Summary, family: str) -> pd.DataFrame:
    """The plain numbers of a family's table, for its CSV."""
    return summary.arms[summary.arms["metric"].isin(FAMILIES[family])]


def _score_header(metrics: Sequence[str]) -> tuple[str, ...]:
    return ("arm", "seeds", *(heading(name) for name in metrics))


def _score_rows(
    records: Records, summary: Summary, benchmark: str, metrics: Sequence[str]
) -> tuple[list[tuple[str, ...]], frozenset[tuple[int, int]]]:
    """A row per arm and one for chance; the places of the best scores."""
    arms = trained_then_initial(records)
    ranks = {name: rank_arms(records, summary, benchmark, name) for name in metrics}
    rows, marked = [], set()
    for arm in [*arms, CHANCE]:
        cells = []
        for name in metrics:
            tied = f" {TIED}" if arm in ranks[name].tied else ""
            cells.append(score_cell(name, summary.score(arm, benchmark, name)) + tied)
            if arm == ranks[name].best:
                marked.add((len(rows), len(cells) + 1))
        rows.append((arm_label(records, arm), seeds_cell(records, arm), *cells))
    return rows, frozenset(marked)


def difference_table(
    records: Records,
    summary: Summary,
    benchmark: str,
    metrics: Sequence[str],
    baseline: str | None = None,
) -> Table:
    """Paired difference of every arm to a baseline; intervals that exclude zero are marked.

    Without one given, each arm is compared with its own baseline.
    """
    against = {
        arm: baseline or records.plan.baseline_of(arm) for arm in trained_then_initial(records)
    }
    several = len(set(against.values())) > 1
    rows, marked = [], set()
    for arm, other in against.items():
        found = [summary.difference(arm, other, benchmark, name) for name in metrics]
        if arm == other or all(row is None for row in found):
            continue
        for column, row in enumerate(found):
            if row is not None and excludes_zero(row):
                marked.add((len(rows), column + 2))
        seeds = max(row["seeds"] for row in found if row is not None)
        texts = [difference_cell(name, row) for name, row in zip(metrics, found)]
        label = arm_label(records, arm) + (f" − {other}" if several else "")
        rows.append((label, str(seeds), *texts))
    name = "its baseline" if several else next(iter(against.values()))
    return Table(
        f"{benchmark.capitalize()} scenes: paired difference to {name}",
        ("arm", "seeds", *(heading(name) for name in metrics)),
        tuple(rows),
        frozenset(marked),
        f"Arm minus {name}, paired over shared seeds and scenes, with its 95 % interval, not "
        "corrected for the number of comparisons; bold: the interval excludes zero. The arrow is "
        "the metric's better direction.",
    )


def cost_table(records: Records) -> Table:
    """Means per run over each arm's finished runs; a column that no run recorded is left out."""
    finished = records.runs[records.runs["finished"]]
    optional = [column for column in RECORDED_SOMETIMES if finished[column[0]].notna().any()]
    columns = [*BUDGET, *MACHINE, *optional]
    rows = []
    for arm in trained_then_initial(records):
        runs = finished[finished["arm"] == arm]
        cells = [_mean_text(runs[name], unit, form) for name, _, unit, form in columns]
        rows.append((arm_label(records, arm), str(len(runs)), *cells))
    header = ("arm", "runs", *(title for _, title, _, _ in columns))
    return Table("Cost", header, tuple(rows), note=_cost_note(optional))


def _cost_note(optional: list[tuple]) -> str:
    known = {name for name, *_ in optional}
    missing = [
        words
        for name, words in (
            ("train_flops", "floating-point operations"),
            ("energy_joules", "energy"),
        )
        if name not in known
    ]
    note = (
        "Means per run over the finished runs. Clips seen: by the whole model, in the joint "
        "training; the steps also count those that train a flow head alone. Epochs over labels: "
        "how often each labelled target clip was seen. Times depend on the machine and on what "
        "else it was doing; stages shared by all runs (data, initialisation) are not included."
    )
    return f"{note} Not recorded, so left out: {' and '.join(missing)}." if missing else note


def trained_then_initial(records: Records) -> list[str]:
    """The scored arms in the plan's order, the initialisation last."""
    arms = scored_arms(records)
    return sorted(arms, key=lambda arm: arm == INITIALISATION)  # stable: keeps the plan's order


def arm_label(records: Records, arm: str) -> str:
    if arm == CHANCE:
        return arm
    runs = records.runs[records.runs["arm"] == arm]
    return arm if runs["finished"].all() else f"{arm} (incomplete)"


def seeds_cell(records: Records, arm: str) -> str:
    """How many seeds are finished, `2 of 5` where some are not; empty for chance."""
    runs = records.runs[records.runs["arm"] == arm]
    if runs.empty:
        return ""
    done, planned = int(runs["finished"].sum()), len(runs)
    return str(done) if done == planned else f"{done} of {planned}"


def score_cell(name: str, row: Row | None) -> str:
    """Mean ± half of the interval; the mean alone where there is no interval."""
    if row is None:
        return "–"
    if row["low"] is None:
        return number(name, row["mean"])
    return f"{number(name, row['mean'])} ± {number(name, (row['high'] - row['low']) / 2)}"


def difference_cell(name: str, row: Row | None) -> str:
    """Difference [low, high], signed; the difference alone where there is no interval."""
    if row is None:
        return "–"
    text = number(name, row["difference"], signed=True)
    if row["low"] is None:
        return text
    return f"{text} [{number(name, row['low'], True)}, {number(name, row['high'], True)}]"


def _mean_text(values: pd.Series, unit: float, form: str) -> str:
    values = pd.to_numeric(values).dropna()
    return "–" if values.empty else f"{values.mean() / unit:{form}}"


__all__ = [
    "Table",
    "benchmark_table",
    "cost_table",
    "difference_table",
    "family_data",
    "family_table",
    "latex_escape",
    "score_cell",
    "shown_metrics",
    "to_latex",
    "to_markdown",
    "to_text",
    "write_tables",
]
