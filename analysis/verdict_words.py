"""A verdict as a sentence in plain words, as a row of a table, as an entry of results.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.markup import Table
from analysis.metrics import improvement, metric, number, unit_of_difference
from analysis.questions import BETTER, NOT_WORSE, Question
from analysis.statistics import Estimate
from analysis.verdicts import FAILS, HOLDS, UNDECIDED, Contrast, Finding, Verdict
from analysis.wording import basis_text, interval_text, listed


def sentence(answer: Verdict) -> str:
    """What was found, with its numbers; starts with the verdict."""
    question, decisive = answer.question, answer.decisive
    waiting = _waiting(question, answer.pairs)
    if waiting:
        words = waiting
    elif question.order is not None:
        words = _order(answer)
    else:
        words = _claim(question, decisive, answer.verdict)
    return f"{answer.verdict.capitalize()}: {words}."


def measured(question: Question, finding: Finding) -> str:
    """`AUC@30 +2.2 points [0.8, 3.7] (95 %, paired, 5 seeds × 512 scenes)`."""
    found = finding.found
    if found is None:
        return "nothing measured"
    level = "" if found.low is None else f"{percent(found.level)}, paired, "
    numbers = f"{metric(question.metric).label} {_numbers(question, found)}"
    return f"{numbers} ({level}{basis_text([found])})"


def _numbers(question: Question, found: Estimate) -> str:
    """The interval; per doubling a difference is small, so a slope has a decimal more."""
    return interval_text(question.metric, found, finer=1 if question.slope else 0)


def smallest_text(question: Question) -> str:
    """`1.0 points`, the smallest difference of interest; per doubling for a slope."""
    finer = 1 if question.slope else 0
    parts = [number(question.metric, question.smallest_difference, finer=finer)]
    parts.append(unit_of_difference(question.metric))
    parts.append("per doubling" if question.slope else "")
    return " ".join(part for part in parts if part)


def percent(level: float) -> str:
    """`95 %`, `98.8 %`."""
    return f"{100 * level:.3g} %"


def comparison_text(question: Question) -> str:
    """`a − b`, `a > b, c > d`, or the slope."""
    if question.slope is not None:
        return f"slope over {question.slope.replace('_', ' ')}"
    if question.difference is not None:
        return " − ".join(question.difference)
    return " > ".join(", ".join(tier) for tier in question.order)


def verdict_table(answers: Sequence[Verdict]) -> Table:
    """Question, answer, and the numbers that decided it; decided answers are marked."""
    rows, marked = [], set()
    for i, answer in enumerate(answers):
        question, found = answer.question, answer.decisive.found
        if answer.verdict != UNDECIDED:
            marked.add((i, 1))
        name = question.metric
        shown = "–" if found is None else _numbers(question, found)
        level = "–" if found is None or found.low is None else percent(found.level)
        compared = comparison_text(question)
        if question.order is not None:
            compared += f" (weakest: {_pair(answer.decisive.contrast)})"
        place = f"{question.benchmark} {metric(name).label}"
        rows.append((question.question, answer.verdict, compared, place, shown, level,
                     f"{question.direction}, {smallest_text(question)}"))  # fmt: skip
    return Table(
        "The questions of this sweep",
        ("question", "answer", "compared", "measure", "difference", "level", "asked for"),
        tuple(rows),
        frozenset(marked),
        "Holds: the interval lies on the claimed side of zero and the difference is at least the "
        "smallest of interest (for not-worse: the interval excludes being worse by it). Fails: the "
        "interval excludes what was asked for (for not-worse: it is all on the worse side of zero, "
        "and the difference is at least that large). A level above 95 % is corrected for the "
        "number of questions in a family, or of pairs in an order (Holm).",
    )


def verdict_record(answer: Verdict) -> dict[str, Any]:
    """The entry of results.json; low and high are null where there is no interval."""
    question, found = answer.question, answer.decisive.found
    contrast = answer.decisive.contrast
    return {
        "id": question.id,
        "question": question.question,
        "verdict": answer.verdict,
        "metric": question.metric,
        "benchmark": question.benchmark,
        "estimate": None if found is None else found.mean,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "level": None if found is None or found.low is None else found.level,
        "sentence": sentence(answer),
        "smallest_difference": question.smallest_difference,
        "direction": question.direction,
        "family": question.family,
        "arm": contrast.arm or None,
        "baseline": contrast.baseline or None,
        "seeds": 0 if found is None else found.seeds,
        "scenes": 0 if found is None else found.scenes,
    }


def _waiting(question: Question, findings: Sequence[Finding]) -> str:
    """Why nothing can be claimed yet; empty where the records suffice."""
    unfinished = [f for f in findings if f.contrast.finished < f.contrast.runs]
    if unfinished:
        worst = min(unfinished, key=lambda f: f.contrast.finished / f.contrast.runs)
        done, planned = worst.contrast.finished, worst.contrast.runs
        so_far = "" if worst.found is None else f"; so far {measured(question, worst)}"
        return (
            f"{done} of the {planned} planned runs of {_subject(question, worst.contrast)} are "
            f"finished, and nothing is claimed before all are{so_far}"
        )
    for finding in findings:
        if finding.found is None:
            return f"{_subject(question, finding.contrast)}: the metric is defined in no common run"
        if finding.found.low is None:
            return f"one seed, no interval: nothing can be claimed; {measured(question, finding)}"
    return ""


def _subject(question: Question, contrast: Contrast) -> str:
    if question.slope is not None:
        return "the scaling curve"
    return f"{contrast.arm} and {contrast.baseline}"


def _claim(question: Question, finding: Finding, verdict: str) -> str:
    """The words for a difference or a slope."""
    numbers = measured(question, finding)
    scenes = f"on the {question.benchmark} scenes"
    if question.slope is not None:
        return f"{_slope(question, finding, verdict)} {scenes}: {numbers}"
    arm, baseline = finding.contrast.arm, finding.contrast.baseline
    low, high = _turned(question, finding.found)
    say = {BETTER: _better, NOT_WORSE: _not_worse}.get(question.direction, _equal)
    return f"{say(question, arm, f'{baseline} {scenes}', low, high, verdict)}: {numbers}"


def _turned(question: Question, found: Estimate) -> tuple[float, float]:
    ends = [improvement(question.metric, value) for value in (found.low, found.high)]
    return min(ends), max(ends)


def _better(question: Question, arm: str, other: str, low: float, high: float, verdict: str) -> str:
    smallest = smallest_text(question)
    if verdict == HOLDS:
        small = low < question.smallest_difference
        tail = f", possibly by less than {smallest}" if small else ""
        return f"{arm} is better than {other}{tail}"
    if verdict == FAILS:
        if high < 0:
            return f"{arm} is worse than {other}"
        if low > 0:
            return f"{arm} is better than {other}, but by less than {smallest}"
        return f"an advantage of {smallest} or more of {arm} over {other} is excluded"
    if low > 0:
        return f"{arm} is better than {other}, but whether by {smallest} or more is open"
    if question.smallest_difference == 0:
        return f"the interval of {arm} against {other} contains zero"
    return f"no advantage and one of {smallest} or more of {arm} over {other} are both possible"


def _not_worse(
    question: Question, arm: str, other: str, low: float, high: float, verdict: str
) -> str:
    smallest = smallest_text(question)
    if verdict == HOLDS:
        tail = ", it is better" if low > 0 else ""
        return f"{arm} is not worse than {other} by {smallest} or more{tail}"
    if verdict == FAILS:
        return f"{arm} is worse than {other}, by {smallest} or more as measured"
    return f"whether {arm} is worse than {other} by {smallest} or more is open"


def _equal(question: Question, arm: str, other: str, low: float, high: float, verdict: str) -> str:
    smallest = smallest_text(question)
    if verdict == HOLDS:
        return f"{arm} equals {other} within {smallest}"
    if verdict == FAILS:
        return f"{arm} is {'better' if low > 0 else 'worse'} than {other}"
    return f"whether {arm} equals {other} within {smallest} is open"


def _slope(question: Question, finding: Finding, verdict: str) -> str:
    low, high = _turned(question, finding.found)
    axis, smallest = (question.slope or "").replace("_", " "), smallest_text(question)
    if verdict == HOLDS:
        small = low < question.smallest_difference
        tail = f", possibly less than {smallest}" if small else ""
        return f"every doubling of the {axis} adds{tail}"
    if verdict == FAILS:
        if high < 0:
            return f"every doubling of the {axis} costs"
        return f"a gain of {smallest} or more of the {axis} is excluded"
    return f"whether every doubling of the {axis} adds {smallest} or more is open"


def _order(answer: Verdict) -> str:
    question = answer.question
    order, scenes = comparison_text(question), f"on the {question.benchmark} scenes"
    verdicts = [finding.verdict for finding in answer.pairs]
    weakest = f"{_pair(answer.decisive.contrast)}: {measured(question, answer.decisive)}"
    if answer.verdict == HOLDS:
        return f"{order} {scenes}; the smallest step is {weakest}"
    if answer.verdict == FAILS:
        against = [_pair(f.contrast) for f in answer.pairs if f.verdict == FAILS]
        return (
            f"the order is not {order} {scenes}: by {smallest_text(question)} or more, "
            f"{listed(against)} {'is' if len(against) == 1 else 'are'} excluded; furthest from "
            f"the claim is {weakest}"
        )
    return (
        f"of the {len(verdicts)} steps of {order} {scenes}, {verdicts.count(HOLDS)} hold and "
        f"{verdicts.count(UNDECIDED)} are undecided; the weakest is {weakest}"
    )


def _pair(contrast: Contrast) -> str:
    return f"{contrast.arm} over {contrast.baseline}"
