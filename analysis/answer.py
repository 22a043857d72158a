"""The sentence that answers a sweep: the verdict of its first question, and where that stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analysis.metrics import metric, number
from analysis.plan import INITIALISATION
from analysis.records import Records
from analysis.summary import Summary
from analysis.verdict_words import sentence
from analysis.verdicts import FAILS, HOLDS, UNDECIDED, Verdict, answer_questions
from analysis.wording import listed

WORDS = {HOLDS: "Yes", FAILS: "No", UNDECIDED: "Undecided"}


def answer(records: Records) -> str:
    """Yes, No or Undecided to the first question, why, and how many of the others hold."""
    first, *others = answer_questions(records)
    said = sentence(first).partition(": ")[2]
    decided = first.verdict != UNDECIDED
    budget = _budget(records, _arms(records, first)) if decided else ""
    parts = [f"{preliminary(records)}{WORDS[first.verdict]}{budget}: {said}"]
    if others:
        parts.append(_others(others))
    return " ".join(parts)


def preliminary(records: Records) -> str:
    """A warning in front of everything said about an unfinished sweep; empty when it is done."""
    if records.complete:
        return ""
    finished, planned = int(records.runs["finished"].sum()), len(records.runs)
    return f"Preliminary ({finished} of {planned} runs finished): "


def starting_point(records: Records, summary: Summary) -> str | None:
    """What the initialisation scores before any training here; None where it is not an arm."""
    asked = records.plan.headline
    parts = []
    for arm in dict.fromkeys((INITIALISATION, asked.baseline, asked.arm)):
        rows = [summary.score(arm, asked.benchmark, name) for name in asked.metrics]
        scores = [
            f"{metric(row['metric']).label} {number(row['metric'], row['mean'])}"
            for row in rows
            if row is not None
        ]
        if scores:
            parts.append(f"{arm} {', '.join(scores)}")
        elif arm == INITIALISATION:
            return None
    return (
        f"Against the starting point on the {asked.benchmark} scenes (means; the initialisation "
        f"is one model and has no interval): {'; '.join(parts)}."
    )


def _others(answers: Sequence[Verdict]) -> str:
    counts = Counter(answer.verdict for answer in answers)
    said = {HOLDS: "holds", FAILS: "fails", UNDECIDED: "is undecided"}
    if len(answers) == 1:
        return f"The other question of the sweep {said[answers[0].verdict]}."
    several = {HOLDS: "hold", FAILS: "fail", UNDECIDED: "are undecided"}
    parts = [
        f"{counts[word]} {(said if counts[word] == 1 else several)[word]}"
        for word in (HOLDS, FAILS, UNDECIDED)
        if counts[word]
    ]
    return f"Of the {len(answers)} other questions, {listed(parts)}."


def _arms(records: Records, answered: Verdict) -> list[str]:
    pairs = answered.question.pairs()
    if pairs:
        return list(dict.fromkeys(arm for pair in pairs for arm in pair))
    return [arm.name for arm in records.plan.arms if records.plan.on_curve(arm)]


def _budget(records: Records, arms: Sequence[str]) -> str:
    """`, at equal clips per step` where the records show it of these arms, else nothing."""
    runs = records.runs[records.runs["arm"].isin(arms) & records.runs["finished"]]
    budgets = runs[["step", "clips_per_step"]]
    equal = len(runs) and budgets.notna().all(axis=None) and len(budgets.drop_duplicates()) == 1
    return ", at equal clips per step" if equal else ""
