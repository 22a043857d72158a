"""What a sweep prints at its end: the headline metrics, one block per benchmark, 100 columns."""

from __future__ import annotations

from analysis.metrics import heading, metric
from analysis.records import Records
from analysis.summary import CHANCE, Summary, excludes_zero
from analysis.tables import (
    Table,
    difference_cell,
    score_cell,
    seeds_cell,
    shown_metrics,
    to_text,
    trained_then_initial,
)

COLUMNS = 100
SHOWN = 2  # metrics that fit beside their differences


def console_text(records: Records, summary: Summary) -> str:
    """Scores and paired differences to the baseline; an asterisk: the interval excludes zero."""
    blocks = [_block(records, summary, benchmark) for benchmark in records.benchmarks()]
    return "\n".join(to_text(block) for block in blocks)


def _block(records: Records, summary: Summary, benchmark: str) -> Table:
    plan = records.plan
    names = shown_metrics(summary, benchmark, plan.headline.metrics)[:SHOWN]
    rows, marked = [], set()
    for arm in [*trained_then_initial(records), CHANCE]:
        cells = []
        for name in names:
            cells.append(score_cell(name, summary.score(arm, benchmark, name)))
            other = None if arm == CHANCE else plan.baseline_of(arm)
            row = None if other is None else summary.difference(arm, other, benchmark, name)
            if arm == other or row is None:
                cells.append("")
                continue
            if excludes_zero(row):
                marked.add((len(rows), 2 + len(cells)))
            cells.append(difference_cell(name, row))
        rows.append((arm, seeds_cell(records, arm), *cells))
    others = {plan.baseline_of(arm.name) for arm in plan.arms}
    other = plan.baseline if len(others) == 1 else "baseline"
    header = [text for name in names for text in (heading(name), f"vs {other}")]
    labels = " and ".join(metric(name).label for name in names)
    return Table(
        f"{benchmark.capitalize()} scenes: {labels}, 95 % intervals (* excludes zero)",
        ("arm", "seeds", *header),
        tuple(rows),
        frozenset(marked),
    )
