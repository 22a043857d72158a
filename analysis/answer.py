"""The sentence that answers a sweep's question, with its numbers.

One rule for both sweeps. Each headline metric is better, worse or undecided: its 95 % interval of
the paired difference lies on the better side of zero, on the worse side, or contains zero. Then

- Yes: at least one metric is better and none is worse;
- No: at least one metric is worse and none is better;
- Mixed: one is better and another worse;
- Undecided: every interval contains zero, or there is none because only one seed is shared.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.metrics import metric, number
from analysis.plan import INITIALISATION
from analysis.records import Records
from analysis.scaling import ScalingCurve
from analysis.statistics import Estimate
from analysis.summary import Summary
from analysis.wording import basis_text, differences_text, estimate_of, listed, verdict_of

ONE_SEED = "one seed, no interval: nothing can be claimed"
Findings = Sequence[tuple[str, Estimate]]  # metric, difference


def answer(records: Records, summary: Summary, curves: Sequence[ScalingCurve]) -> str:
    """The sentence that answers the sweep's question."""
    sentence = scaling_answer(records, curves) if curves else headline_answer(records, summary)
    return preliminary(records) + sentence


def preliminary(records: Records) -> str:
    """A warning in front of everything said about an unfinished sweep; empty when it is done."""
    if records.complete:
        return ""
    finished, planned = int(records.runs["finished"].sum()), len(records.runs)
    return f"Preliminary ({finished} of {planned} runs finished): "


def overall(found: Findings) -> str:
    """Yes, No, Mixed or Undecided, by the rule above."""
    verdicts = {verdict_of(name, difference) for name, difference in found}
    if {"better", "worse"} <= verdicts:
        return "Mixed"
    return "Yes" if "better" in verdicts else "No" if "worse" in verdicts else "Undecided"


def headline_answer(records: Records, summary: Summary) -> str:
    """Whether the headline arm beats the headline baseline, metric by metric."""
    asked = records.plan.headline
    rows = [
        summary.difference(asked.arm, asked.baseline, asked.benchmark, name)
        for name in asked.metrics
    ]
    found = [(row["metric"], estimate_of(row)) for row in rows if row is not None]
    scenes = f"on the {asked.benchmark} scenes"
    if not found:
        return (
            f"Undecided: {asked.arm} cannot be compared with {asked.baseline} {scenes}: they "
            "share no seed that is finished in both."
        )
    budget = _budget(records, [asked.arm, asked.baseline])
    numbers = f"{differences_text(found)} {_basis(found)}."
    word = overall(found)
    claims = {
        "Yes": f"beats {asked.baseline} {scenes}{_on_which(found)}:",
        "No": f"is worse than {asked.baseline} {scenes}{_on_which(found)}:",
        "Mixed": f"against {asked.baseline} {scenes} is {_split(found)}:",
        "Undecided": f"differs from {asked.baseline} {scenes} by",
    }
    return f"{word}{_why(word, found)}: {budget}{asked.arm} {claims[word]} {numbers}"


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


def scaling_answer(records: Records, curves: Sequence[ScalingCurve]) -> str:
    """Whether the largest count of unlabelled clips beats the smallest; trend; yardsticks."""
    known = [curve for curve in curves if curve.gain is not None and curve.slope is not None]
    if not known:
        return "Undecided: the scaling curve has fewer than two finished counts with a shared seed."
    found = [(curve.metric, curve.gain) for curve in known]
    first, last = (known[0].points["count"].iloc[i] for i in (0, -1))
    scenes = f"on the {known[0].benchmark} scenes"
    word = overall(found)
    claims = {
        "Yes": f"more unlabelled clips help {scenes}{_on_which(found)}",
        "No": f"more unlabelled clips harm {scenes}{_on_which(found)}",
        "Mixed": f"the effect of more unlabelled clips {scenes} is {_split(found)}",
        "Undecided": f"whether more unlabelled clips help {scenes} cannot be said",
    }
    slopes = [(curve.metric, curve.slope) for curve in known]
    parts = [
        f"{last} clips against {first}, {differences_text(found)}",
        f"per doubling, {differences_text(slopes)}",
    ]
    for mark in _yardsticks(records, known):
        margins = [(c.metric, c.margins[mark]) for c in known if mark in c.margins]
        relation = {"Yes": "ahead of", "No": "behind", "Mixed": "mixed against"}
        said = relation.get(overall(margins), "undecided against")
        parts.append(f"{last} clips are {said} {mark}, {differences_text(margins)}")
    budget = _budget(records, list(known[0].points["arm"]))
    opening = f"{word}{_why(word, found)}: {budget}{claims[word]}"
    return f"{opening}: {'; '.join(parts)} {_basis(found)}."


def _yardsticks(records: Records, curves: Sequence[ScalingCurve]) -> list[str]:
    """The yardsticks with an answer of their own; the baseline's stands in the tables."""
    marks = dict.fromkeys(mark for curve in curves for mark in curve.margins)
    return [mark for mark in marks if mark != records.plan.baseline]


def _budget(records: Records, arms: Sequence[str]) -> str:
    """`at equal clips per step ` where the records show it of these arms, else nothing."""
    runs = records.runs[records.runs["arm"].isin(arms) & records.runs["finished"]]
    budgets = runs[["step", "clips_per_step"]]
    equal = budgets.notna().all(axis=None) and len(budgets.drop_duplicates()) == 1
    return "at equal clips per step " if equal else ""


def _on_which(found: Findings) -> str:
    """Names the metrics that decide and those that do not; nothing when all agree."""
    decided, open_ = _by_verdict(found, "better", "worse"), _by_verdict(found, "undecided")
    if not open_:
        return ""
    return f" in {listed(decided)} ({listed(open_)} undecided)"


def _split(found: Findings) -> str:
    text = f"better in {listed(_by_verdict(found, 'better'))}"
    text += f" and worse in {listed(_by_verdict(found, 'worse'))}"
    open_ = _by_verdict(found, "undecided")
    return f"{text} ({listed(open_)} undecided)" if open_ else text


def _why(word: str, found: Findings) -> str:
    """The reason of an undecided answer, in brackets; nothing for the others."""
    if word != "Undecided":
        return ""
    if all(difference.low is None for _, difference in found):
        return f" ({ONE_SEED})"
    return f" ({'every' if len(found) > 1 else 'the'} interval contains zero)"


def _by_verdict(found: Findings, *verdicts: str) -> list[str]:
    return [metric(n).label for n, difference in found if verdict_of(n, difference) in verdicts]


def _basis(found: Findings) -> str:
    """What the brackets hold: level, seeds and scenes."""
    estimates = [difference for _, difference in found]
    level = "" if all(e.low is None for e in estimates) else "95 %, paired, "
    return f"({level}{basis_text(estimates)})"
