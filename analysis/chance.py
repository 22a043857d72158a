"""Which arms beat the best constant prediction: one line, and a table for the details."""

from __future__ import annotations

from analysis.metrics import ABOVE_CHANCE, improvement, metric
from analysis.plan import INITIALISATION
from analysis.records import Records
from analysis.summary import CHANCE, Row, Summary, scored_arms, verdict
from analysis.tables import Table, difference_cell, trained_then_initial
from analysis.wording import listed

Place = tuple[str, str]  # benchmark, metric


def chance_sentence(records: Records, summary: Summary) -> str:
    """Above chance or not, place by place (benchmark and metric); the initialisation apart."""
    arms = [arm for arm in scored_arms(records) if arm != INITIALISATION]
    places = _places(records, summary)
    if not places:
        return "The records hold no chance level."
    by_words: dict[str, list[str]] = {}
    for place in places:
        rows = {arm: summary.difference(arm, CHANCE, *place) for arm in arms}
        words = _who({arm: row for arm, row in rows.items() if row is not None})
        by_words.setdefault(words, []).append(_label(place))
    parts = [f"{words} on {listed(labels)}" for words, labels in by_words.items()]
    return f"Above chance (the best constant prediction) by the interval: {'; '.join(parts)}."


def chance_table(records: Records, summary: Summary) -> Table | None:
    """Arm by place: the difference to chance with its interval; None without a chance level."""
    places = _places(records, summary)
    if not places:
        return None
    rows, marked = [], set()
    for i, arm in enumerate(trained_then_initial(records)):
        found = [summary.difference(arm, CHANCE, *place) for place in places]
        cells = [difference_cell(name, row) for (_, name), row in zip(places, found)]
        rows.append((arm, *cells))
        marked |= {
            (i, j) for j, row in enumerate(found, 1) if row is not None and verdict(row) == "better"
        }
    return Table(
        "Difference to chance",
        ("arm", *(_label(place) for place in places)),
        tuple(rows),
        frozenset(marked),
        "Arm minus the best constant prediction, in points, with its 95 % interval; bold: above "
        "chance by the interval. For each metric the best constant is "
        "chosen on the test scenes themselves, so that chance is not underestimated.",
    )


def _who(rows: dict[str, Row]) -> str:
    """`every arm`, `no arm`, `every arm but x` or `only x`: who is above chance by the interval."""
    above = [arm for arm, row in rows.items() if verdict(row) == "better"]
    rest = [arm for arm in rows if arm not in above]
    if all(row["low"] is None for row in rows.values()):
        higher = sum(improvement(r["metric"], r["difference"]) > 0 for r in rows.values())
        return f"undecided, one seed ({higher} of {len(rows)} arms by the mean)"
    if not rest:
        return "every arm"
    if not above:
        return "no arm"
    return f"every arm but {listed(rest)}" if len(rest) <= len(above) else f"only {listed(above)}"


def _places(records: Records, summary: Summary) -> list[Place]:
    arms = scored_arms(records)
    return [
        (benchmark, name)
        for benchmark in records.benchmarks()
        for name in ABOVE_CHANCE
        if any(summary.difference(arm, CHANCE, benchmark, name) is not None for arm in arms)
    ]


def _label(place: Place) -> str:
    return f"{place[0]} {metric(place[1]).label}"
