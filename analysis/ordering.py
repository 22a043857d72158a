"""Whether the formulations order as the paper says: a table of its pairwise claims, a sentence.

A claim "first > second" holds when the 95 % interval of the paired difference lies on the better
side of zero, fails when it lies on the worse side, and is undecided otherwise. A claim of near
equality fails when the interval excludes zero, and can otherwise only be left uncontradicted.
"""

from __future__ import annotations

from collections.abc import Iterator

from analysis.metrics import metric, number
from analysis.published import CLAIMS
from analysis.records import Records
from analysis.summary import CHANCE, Row, Summary, verdict
from analysis.tables import Table, difference_cell
from analysis.wording import listed

METRICS = ("rra_30", "auc_30")  # as published; and the study's own summary of a pose error
BENCHMARKS = ("static", "dynamic")
OUTCOMES = {"better": "holds", "worse": "fails", "undecided": "undecided"}
Claim = tuple[str, str, str]


def order_table(records: Records, summary: Summary) -> Table | None:
    """Claim by benchmark and metric: outcome and difference; None when nothing is compared."""
    places = [(b, m) for m in METRICS for b in BENCHMARKS if b in records.benchmarks()]
    rows, marked = [], set()
    for claim in CLAIMS:
        found = [_row(summary, claim, *place) for place in places]
        if all(row is None for row in found):
            continue
        for column, row in enumerate(found, 1):
            if row is not None and outcome(claim, row) in ("holds", "fails"):
                marked.add((len(rows), column))
        cells = [_cell(claim, name, row) for (_, name), row in zip(places, found)]
        rows.append((" ".join(claim), *cells))
    if not rows:
        return None
    return Table(
        "The paper's order of the formulations, claim by claim",
        ("claim of the paper", *(f"{b} {metric(m).label}" for b, m in places)),
        tuple(rows),
        frozenset(marked),
        "First minus second, in points, paired, with its 95 % interval. Holds (fails): the "
        "interval lies on the claimed (opposite) side of zero; for ≈, fails: it excludes zero. "
        "The paper publishes RRA@30; AUC@30 is the finer measure of the same poses here.",
    )


def order_sentence(records: Records, summary: Summary) -> str | None:
    """Whether the order is the paper's, by both metrics; None unless formulations are compared."""
    counts, failed, complete = [], [], True
    for name in METRICS:
        found = list(_outcomes(records, summary, name))
        ordered = [word for claim, _, word in found if claim[1] == ">"]
        if not ordered:
            continue
        held, open_ = ordered.count("holds"), ordered.count("undecided")
        label = metric(name).label
        counts.append(f"on {label} {held} of {len(ordered)} hold and {open_} are undecided")
        failed += [f"{' '.join(c)} ({b} {label})" for c, b, word in found if word == "fails"]
        complete &= held == len(ordered)
    if not counts:
        return None
    text = f"of the paper's pairwise claims of an advantage, {'; '.join(counts)}"
    if failed:
        opening = "The formulations do not order as in the paper"
        text += f"; against the paper: {listed(failed)}"
    elif complete:
        opening = "The formulations order as in the paper"
    else:
        opening = "That the formulations order as in the paper is not shown"
    return " ".join([f"{opening}: {text}.", *_saturated(records, summary)])


def _saturated(records: Records, summary: Summary) -> list[str]:
    """Says where the paper's metric cannot tell arms apart, because no arm beats a constant."""
    name, where = METRICS[0], []
    for benchmark in records.benchmarks():
        levels = summary.arms[
            (summary.arms["benchmark"] == benchmark) & (summary.arms["metric"] == name)
        ].set_index("arm")["mean"]
        if CHANCE in levels.index and levels[CHANCE] >= levels.drop(CHANCE).max():
            where.append(f"{benchmark} {number(name, levels[CHANCE])}")
    if not where:
        return []
    label = metric(name).label
    return [f"{label} says little here: no arm beats the best constant ({listed(where)})."]


def outcome(claim: Claim, row: Row) -> str:
    """'holds', 'fails' or 'undecided'; a claim of near equality never holds."""
    word = OUTCOMES[verdict(row)]
    if claim[1] == "≈":
        return "undecided" if word == "undecided" else "fails"
    return word


def _outcomes(records: Records, summary: Summary, name: str) -> Iterator[tuple[Claim, str, str]]:
    for benchmark in (b for b in BENCHMARKS if b in records.benchmarks()):
        for claim in CLAIMS:
            row = _row(summary, claim, benchmark, name)
            if row is not None:
                yield claim, benchmark, outcome(claim, row)


def _row(summary: Summary, claim: Claim, benchmark: str, name: str) -> Row | None:
    return summary.difference(claim[0], claim[2], benchmark, name)


def _cell(claim: Claim, name: str, row: Row | None) -> str:
    if row is None:
        return "–"
    text = difference_cell(name, row)
    return f"one seed: {text}" if row["low"] is None else f"{outcome(claim, row)}: {text}"
