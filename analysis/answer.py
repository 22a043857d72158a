"""What follows from the numbers, in plain sentences: holds, does not hold, or undecided."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from analysis.metrics import (
    ABOVE_CHANCE,
    improvement,
    metric,
    number,
    unit_of_difference,
)
from analysis.plan import INITIALISATION
from analysis.published import FORMULATIONS, METRICS
from analysis.records import Records
from analysis.scaling import ScalingCurve
from analysis.statistics import Estimate
from analysis.summary import CHANCE, Summary, excludes_zero, lookup, scored_arms, verdict

WORDS = {"better": "holds", "worse": "does not hold", "undecided": "is undecided"}


def answer(records: Records, summary: Summary, curves: list[ScalingCurve]) -> str:
    """The sentence that answers the sweep's question."""
    return preliminary(records) + (
        scaling_answer(curves) if curves else headline_answer(records, summary)
    )


def preliminary(records: Records) -> str:
    """A warning in front of everything said about an unfinished sweep; empty when it is done."""
    if records.complete:
        return ""
    finished, planned = int(records.runs["finished"].sum()), len(records.runs)
    return f"Preliminary ({finished} of {planned} runs finished): "


def headline_answer(records: Records, summary: Summary) -> str:
    """Whether the headline arm beats the headline baseline, metric by metric."""
    asked = records.plan.headline
    keys = {"arm": asked.arm, "baseline": asked.baseline, "benchmark": asked.benchmark}
    rows = [lookup(summary.comparisons, **keys, metric=name) for name in asked.metrics]
    rows = [row for row in rows if row is not None]
    if not rows:
        return (
            f"{asked.arm} cannot be compared with {asked.baseline} on the {asked.benchmark} "
            "scenes: they share no seed that is finished in both."
        )
    verdicts = [verdict(row) for row in rows]
    differences = "; ".join(f"{difference_text(row)}: {WORDS[verdict(row)]}" for row in rows)
    return (
        f'"{asked.arm} beats {asked.baseline} on the {asked.benchmark} scenes" '
        f"{_overall(verdicts)} ({differences}; {_basis(rows)})."
    )


def scaling_answer(curves: list[ScalingCurve]) -> str:
    """Whether the metric improves from the smallest to the largest count of unlabelled clips."""
    parts, verdicts = [], []
    for curve in curves:
        if curve.gain is None:
            continue
        first, last = curve.points["count"].iloc[0], curve.points["count"].iloc[-1]
        found = _estimate_verdict(curve.metric, curve.gain)
        verdicts.append(found)
        parts.append(
            f"{metric(curve.metric).label} {interval_text(curve.metric, curve.gain)} from {first} "
            f"to {last} clips, {interval_text(curve.metric, curve.slope)} per doubling: "
            f"{WORDS[found]}"
        )
    if not parts:
        return "The scaling curve has fewer than two finished counts with a shared seed."
    gain, benchmark = curves[0].gain, curves[0].benchmark
    return (
        f'"More unlabelled clips help on the {benchmark} scenes" {_overall(verdicts)} '
        f"({'; '.join(parts)}; {_seeds_and_scenes(gain.seeds, gain.scenes)})."
    )


def chance_sentence(records: Records, summary: Summary) -> str:
    """Which arms are above the best constant prediction, on the metrics that decide it."""
    below, undecided, count = [], [], 0
    for benchmark in records.benchmarks():
        for name in ABOVE_CHANCE:
            for arm in scored_arms(records):
                keys = {"arm": arm, "baseline": CHANCE, "benchmark": benchmark, "metric": name}
                row = lookup(summary.comparisons, **keys)
                if row is None or arm == INITIALISATION:
                    continue
                count += 1
                place = f"{arm} ({benchmark} {metric(name).label}, {difference_text(row, False)})"
                if improvement(name, row["difference"]) <= 0:
                    below.append(place)
                elif not excludes_zero(row):
                    undecided.append(place)
    if count == 0:
        return "The records hold no chance level."
    labels = " and ".join(metric(name).label for name in ABOVE_CHANCE)
    text = f"{count - len(below)} of {count} scores ({labels}, every arm) lie above chance"
    text += f"; not above: {', '.join(below)}" if below else ""
    text += f"; above, but not by their interval: {', '.join(undecided)}" if undecided else ""
    return text + "."


def order_sentence(summary: Summary, benchmark: str, name: str = METRICS[0]) -> str | None:
    """How the pairwise order of the formulations compares with the paper's Table 1.

    None unless at least two of the published formulations are compared here.
    """
    published = FORMULATIONS.get(benchmark, {})
    column = METRICS.index(name)
    same, reversed_, undecided = [], [], []
    for first, second in combinations(published, 2):
        row = lookup(
            summary.comparisons, arm=second, baseline=first, benchmark=benchmark, metric=name
        )
        if row is None:
            continue
        paper = improvement(name, published[second][column] - published[first][column])
        better, worse = (second, first) if paper > 0 else (first, second)
        pair = f"{better} over {worse}"
        if not excludes_zero(row):
            undecided.append(pair)
        elif (improvement(name, row["difference"]) > 0) == (paper > 0):
            same.append(pair)
        else:
            reversed_.append(pair)
    total = len(same) + len(reversed_) + len(undecided)
    if total == 0:
        return None
    lists = [("as published", same), ("reversed", reversed_), ("undecided", undecided)]
    detail = "; ".join(f"{word}: {', '.join(pairs)}" for word, pairs in lists if pairs)
    whole = "is" if len(same) == total else "is not"
    return (
        f"The paper's order of the formulations on {benchmark} {metric(name).label} {whole} "
        f"reproduced: {len(same)} of {total} published pairwise orderings hold here "
        f"({detail})."
    )


def difference_text(row: pd.Series, label: bool = True) -> str:
    """`RRA@15 +2.3 [+1.0, +3.6] points` of a comparison row."""
    found = Estimate(row["difference"], row["low"], row["high"], row["seeds"], row["scenes"])
    text = interval_text(row["metric"], found)
    return f"{metric(row['metric']).label} {text}" if label else text


def interval_text(name: str, found: Estimate) -> str:
    """A signed difference with its interval and unit."""
    unit = unit_of_difference(name)
    text = number(name, found.mean, signed=True)
    if found.low is None:
        text += " (one seed, no interval)"
    else:
        text += f" [{number(name, found.low, True)}, {number(name, found.high, True)}]"
    return f"{text} {unit}".strip()


def _estimate_verdict(name: str, found: Estimate) -> str:
    if not found.excludes_zero:
        return "undecided"
    return "better" if improvement(name, found.mean) > 0 else "worse"


def _overall(verdicts: list[str]) -> str:
    found = set(verdicts)
    if {"better", "worse"} <= found:
        return "holds on one metric and is reversed on another"
    if "better" in found:
        count = verdicts.count("better")
        share = "" if count == len(verdicts) else f" on {count} of {len(verdicts)} metrics"
        return f"holds{share}"
    return "does not hold" if "worse" in found else "is undecided"


def _basis(rows: list[pd.Series]) -> str:
    return _seeds_and_scenes(rows[0]["seeds"], rows[0]["scenes"])


def _seeds_and_scenes(seeds: int, scenes: int) -> str:
    return (
        f"paired over {seeds} seed{'s' if seeds != 1 else ''} and {scenes} "
        f"scene{'s' if scenes != 1 else ''}"
    )
