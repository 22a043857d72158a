"""The numbers of a study: every arm's score and every paired difference, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.metrics import improvement, metric
from analysis.plan import INITIALISATION
from analysis.records import Records, score_matrices
from analysis.statistics import LEVEL, Estimate, estimate

CHANCE = "chance"
ARM_COLUMNS = ("arm", "formulation", "benchmark", "metric", "mean", "low", "high", "seeds",
               "scenes", "missing", "level", "preliminary")  # fmt: skip
COMPARISON_COLUMNS = ("arm", "baseline", "benchmark", "metric", "difference", "low", "high",
                      "seeds", "scenes", "missing", "level", "preliminary", "p_value")  # fmt: skip


Row = Mapping[str, Any]  # of a table below, by column


@dataclass(frozen=True)
class Summary:
    """arms: ARM_COLUMNS, chance included; comparisons: COMPARISON_COLUMNS, against the plan's
    baseline(s), against chance, between the formulations, and of a scaling curve's ends.

    low, high, level and p_value are None where there is no interval. preliminary: fewer seeds than
    planned, so that nothing is claimed. p_value: of this comparison alone, uncorrected.
    """

    arms: pd.DataFrame
    comparisons: pd.DataFrame

    def score(self, arm: str, benchmark: str, name: str) -> Row | None:
        """The row of `arms` with these keys."""
        return self._scores.get((arm, benchmark, name))

    def difference(self, arm: str, baseline: str, benchmark: str, name: str) -> Row | None:
        """The row of arm - baseline, turned round where it is stored as baseline - arm."""
        row = self._differences.get((arm, baseline, benchmark, name))
        if row is not None:
            return row
        row = self._differences.get((baseline, arm, benchmark, name))
        return None if row is None else _reversed(row)

    @cached_property
    def _scores(self) -> dict[tuple[str, ...], Row]:
        return _keyed(self.arms, ("arm", "benchmark", "metric"))

    @cached_property
    def _differences(self) -> dict[tuple[str, ...], Row]:
        return _keyed(self.comparisons, ("arm", "baseline", "benchmark", "metric"))


def summarise(records: Records) -> Summary:
    """Score and compare every arm that has a finished run, on every benchmark and metric."""
    arms, comparisons = [], []
    for benchmark in records.benchmarks():
        for name in records.metrics(benchmark):
            metric(name)  # an unknown metric is refused here, with the choices
            scored = _scored(records, benchmark, name)
            arms += [_arm_row(records, arm, benchmark, name, f) for arm, f in scored.items()]
            comparisons += _comparison_rows(records, benchmark, name)
            comparisons += _above_chance_rows(records, benchmark, name, scored)
    return Summary(
        _table(arms + _chance_rows(records), ARM_COLUMNS),
        _table(comparisons, COMPARISON_COLUMNS),
    )


def compare(
    records: Records, arm: str, baseline: str, benchmark: str, name: str, level: float = LEVEL
) -> Estimate | None:
    """Paired difference arm - baseline over shared seeds and scenes; None where none is shared."""
    values, _, _ = score_matrices(records, [arm, baseline], benchmark, name)
    planned = records.plan.seeds(arm) & records.plan.seeds(baseline)
    return _estimate(values[0] - values[1], planned, level)


def chance_level(records: Records, benchmark: str, name: str) -> float | None:
    """The score of the best constant prediction, or None where it is not defined."""
    rows = records.chance
    rows = rows[(rows["benchmark"] == benchmark) & (rows["metric"] == name)]
    return None if rows.empty else float(rows["value"].iloc[0])


def excludes_zero(row: Row) -> bool:
    """Whether the interval lies on one side of zero, and all planned seeds are behind it."""
    if row["low"] is None or row["preliminary"]:
        return False
    return row["low"] > 0 or row["high"] < 0


def verdict(row: Row) -> str:
    """'better', 'worse' or 'undecided', in the metric's own direction."""
    if not excludes_zero(row):
        return "undecided"
    return "better" if improvement(row["metric"], row["difference"]) > 0 else "worse"


def scored_arms(records: Records) -> list[str]:
    """The arms with at least one finished run, in the order of the plan."""
    finished = set(records.runs.loc[records.runs["finished"], "arm"])
    return [arm.name for arm in records.plan.arms if arm.name in finished]


def compared_pairs(records: Records) -> list[tuple[str, str]]:
    """Each arm against its baseline and those of the sweep, then the formulations' pairs."""
    arms, plan = scored_arms(records), records.plan
    pairs = [(arm, plan.baseline_of(arm)) for arm in arms]
    pairs += [(arm, base) for base in (plan.baseline, plan.headline.baseline) for arm in arms]
    pairs += [question_pair for q in plan.questions for question_pair in q.pairs()]
    pairs = [(arm, base) for arm, base in pairs if arm != base and {arm, base} <= set(arms)]
    named = [a for a in arms if a == records.plan.arm(a).formulation and a != INITIALISATION]
    pairs += [(b, a) for i, a in enumerate(named) for b in named[i + 1 :]]
    pairs += _curve_pairs(records)
    known: set[frozenset[str]] = set()
    return [p for p in pairs if not (frozenset(p) in known or known.add(frozenset(p)))]


def _curve_pairs(records: Records) -> list[tuple[str, str]]:
    """The largest count of a scaling curve against the smallest and against the yardsticks."""
    arms = [records.plan.arm(name) for name in scored_arms(records)]
    curve = [arm for arm in arms if records.plan.on_curve(arm)]
    if not curve or any(arm.unlabelled_clips is None for arm in curve):
        return []
    curve.sort(key=lambda arm: arm.unlabelled_clips)
    others = [curve[0], *(arm for arm in arms if arm.yardstick)]
    return [(curve[-1].name, arm.name) for arm in others if arm is not curve[-1]]


def _scored(records: Records, benchmark: str, name: str) -> dict[str, Estimate]:
    """The score of every arm that has the metric."""
    found = {}
    for arm in scored_arms(records):
        values, _, _ = score_matrices(records, [arm], benchmark, name)
        found[arm] = _estimate(values[0], records.plan.seeds(arm))
    return {arm: score for arm, score in found.items() if score is not None}


def _arm_row(records: Records, arm: str, benchmark: str, name: str, found: Estimate) -> dict:
    formulation = records.plan.arm(arm).formulation
    keys = {"arm": arm, "formulation": formulation, "benchmark": benchmark, "metric": name}
    return {**keys, "mean": found.mean, **_spread(found)}


def _comparison_row(arm: str, other: str, benchmark: str, name: str, found: Estimate) -> dict:
    keys = {"arm": arm, "baseline": other, "benchmark": benchmark, "metric": name}
    return {**keys, "difference": found.mean, **_spread(found), "p_value": found.p_value}


def _comparison_rows(records: Records, benchmark: str, name: str) -> list[dict]:
    rows = []
    for arm, baseline in compared_pairs(records):
        found = compare(records, arm, baseline, benchmark, name)
        if found is not None:
            rows.append(_comparison_row(arm, baseline, benchmark, name, found))
    return rows


def _above_chance_rows(
    records: Records, benchmark: str, name: str, scored: Mapping[str, Estimate]
) -> list[dict]:
    """Each score less the chance level, one number for all scenes: the interval only shifts."""
    level = chance_level(records, benchmark, name)
    if level is None:
        return []
    rows = []
    for arm, found in scored.items():
        low, high = (None if end is None else end - level for end in (found.low, found.high))
        above = replace(found, mean=found.mean - level, low=low, high=high)
        rows.append(_comparison_row(arm, CHANCE, benchmark, name, above))
    return rows


def _chance_rows(records: Records) -> list[dict]:
    return [
        {
            "arm": CHANCE,
            "formulation": "none",
            "benchmark": row.benchmark,
            "metric": row.metric,
            "mean": row.value,
            "low": None,
            "high": None,
            "seeds": 0,
            "scenes": 0,
            "missing": 0,
            "level": None,
            "preliminary": False,
        }
        for row in records.chance.itertuples()
    ]


def _keyed(table: pd.DataFrame, columns: tuple[str, ...]) -> dict[tuple[str, ...], Row]:
    rows = table.to_dict("records")
    return {tuple(row[column] for column in columns): row for row in rows}


def _reversed(row: Row) -> Row:
    low, high = (None if row[side] is None else -row[side] for side in ("high", "low"))
    ends = {"arm": row["baseline"], "baseline": row["arm"], "low": low, "high": high}
    return {**row, **ends, "difference": -row["difference"]}


def _estimate(values: np.ndarray, planned: set[int], level: float = LEVEL) -> Estimate | None:
    return None if np.isnan(values).all() else estimate(values, level, planned=len(planned))


def _spread(found: Estimate) -> dict:
    return {
        "low": found.low,
        "high": found.high,
        "seeds": found.seeds,
        "scenes": found.scenes,
        "missing": found.missing,
        "level": None if found.low is None else found.level,
        "preliminary": found.preliminary,
    }


def _table(rows: list[dict], columns: tuple[str, ...]) -> pd.DataFrame:
    """A frame whose numbers stay None (not NaN) where there is no interval."""
    table = pd.DataFrame(rows, columns=list(columns))
    for column in ("low", "high", "level", "p_value"):
        if column in columns:
            table[column] = pd.Series([row[column] for row in rows], dtype=object)
    return table
