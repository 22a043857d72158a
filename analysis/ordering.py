"""The paper's order of the formulations against ours: a table of its steps, and a sentence."""

from __future__ import annotations

from analysis.metrics import metric, number
from analysis.records import Records
from analysis.summary import CHANCE, Summary
from analysis.tables import Table
from analysis.verdict_words import comparison_text, percent, sentence
from analysis.verdicts import UNDECIDED, Verdict, answer_questions
from analysis.wording import interval_text, listed


def order_table(records: Records) -> Table | None:
    """Step by order question: outcome, difference, interval; None where no order is asked for."""
    asked = _orders(records)
    if not asked:
        return None
    pairs = list(dict.fromkeys(pair for answer in asked for pair in answer.question.pairs()))
    rows, marked = [], set()
    for pair in pairs:
        cells = []
        for answer in asked:
            cell, decided = _cell(answer, pair)
            cells.append(cell)
            if decided:
                marked.add((len(rows), len(cells)))
        rows.append((" over ".join(pair), *cells))
    claims = dict.fromkeys(comparison_text(answer.question) for answer in asked)
    return Table(
        f"The order {listed(list(claims))}, step by step",
        ("step", *(_place(answer) for answer in asked)),
        tuple(rows),
        frozenset(marked),
        "First minus second, paired, with its interval at the level that it was judged at (Holm "
        "over the steps). Holds and fails: as for the questions of the sweep.",
    )


def order_sentence(records: Records, summary: Summary) -> str | None:
    """The answers to the questions about an order; None where none is asked."""
    asked = _orders(records)
    if not asked:
        return None
    said = [f"{answer.question.question} {sentence(answer)}" for answer in asked]
    return " ".join([*said, *_saturated(records, summary, asked)])


def _orders(records: Records) -> list[Verdict]:
    return [answer for answer in answer_questions(records) if answer.question.order is not None]


def _place(answer: Verdict) -> str:
    return f"{answer.question.benchmark} {metric(answer.question.metric).label}"


def _cell(answer: Verdict, pair: tuple[str, str]) -> tuple[str, bool]:
    """The text of a step, and whether it is decided."""
    for finding in answer.pairs:
        if (finding.contrast.arm, finding.contrast.baseline) != pair:
            continue
        if finding.found is None:
            return "–", False
        text = interval_text(answer.question.metric, finding.found)
        if finding.found.low is None:
            return f"one seed: {text}", False
        level = percent(finding.found.level)
        return f"{finding.verdict}: {text}, {level}", finding.verdict != UNDECIDED
    return "–", False


def _saturated(records: Records, summary: Summary, asked: list[Verdict]) -> list[str]:
    """Says where a measure cannot tell arms apart, because no arm beats a constant."""
    where = []
    for answer in asked:
        benchmark, name = answer.question.benchmark, answer.question.metric
        rows = summary.arms
        levels = rows[(rows["benchmark"] == benchmark) & (rows["metric"] == name)]
        levels = levels.set_index("arm")["mean"]
        if CHANCE in levels.index and not metric(name).better(
            levels.drop(CHANCE).agg("max" if metric(name).direction == "up" else "min"),
            levels[CHANCE],
        ):
            where.append(f"{_place(answer)} {number(name, levels[CHANCE])}")
    if not where:
        return []
    return [f"This says little: no arm beats the best constant ({listed(where)})."]
