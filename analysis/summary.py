"""The numbers of a study: every arm's score and every paired difference, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.metrics import improvement, metric
from analysis.plan import INITIALISATION
from analysis.records import Records, score_matrices
from analysis.statistics import RESAMPLES, Estimate, estimate

CHANCE = "chance"
ARM_COLUMNS = ("arm", "formulation", "benchmark", "metric", "mean", "low", "high", "seeds",
               "scenes", "missing")  # fmt: skip
COMPARISON_COLUMNS = ("arm", "baseline", "benchmark", "metric", "difference", "low", "high",
                      "seeds", "scenes", "missing")  # fmt: skip


Row = Mapping[str, Any]  # of a table below, by column


@dataclass(frozen=True)
class Summary:
    """arms: ARM_COLUMNS, chance included; comparisons: COMPARISON_COLUMNS, against the plan's
    baseline(s), against chance, between the formulations, and of a scaling curve's ends. None
    where there is no interval. resamples: of the bootstrap behind the intervals.
    """

    arms: pd.DataFrame
    comparisons: pd.DataFrame
    resamples: int = RESAMPLES

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


def summarise(records: Records, resamples: int = RESAMPLES) -> Summary:
    """Score and compare every arm that has a finished run, on every benchmark and metric."""
    arms, comparisons = [], []
    for benchmark in records.benchmarks():
        for name in records.metrics(benchmark):
            metric(name)  # an unknown metric is refused here, with the choices
            scored = _arm_rows(records, benchmark, name, resamples)
            arms += scored
            comparisons += _comparison_rows(records, benchmark, name, resamples)
            comparisons += _above_chance_rows(records, scored)
    return Summary(
        _table(arms + _chance_rows(records), ARM_COLUMNS),
        _table(comparisons, COMPARISON_COLUMNS),
        resamples,
    )


def compare(
    records: Records,
    arm: str,
    baseline: str,
    benchmark: str,
    name: str,
    resamples: int = RESAMPLES,
) -> Estimate | None:
    """Paired difference arm - baseline over shared seeds and scenes; None where none is shared."""
    values, _, _ = score_matrices(records, [arm, baseline], benchmark, name)
    return _estimate(values[0] - values[1], resamples)


def chance_level(records: Records, benchmark: str, name: str) -> float | None:
    """The score of the best constant prediction, or None where it is not defined."""
    rows = records.chance
    rows = rows[(rows["benchmark"] == benchmark) & (rows["metric"] == name)]
    return None if rows.empty else float(rows["value"].iloc[0])


def excludes_zero(row: Row) -> bool:
    """Whether a comparison has an interval that lies on one side of zero."""
    return row["low"] is not None and (row["low"] > 0 or row["high"] < 0)


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
    """Each arm against the baseline and the headline's baseline, then the formulations' pairs."""
    arms = scored_arms(records)
    baselines = [records.plan.baseline, records.plan.headline.baseline]
    pairs = [(arm, base) for base in baselines for arm in arms if arm != base and base in arms]
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


def _arm_rows(records: Records, benchmark: str, name: str, resamples: int) -> list[dict]:
    rows = []
    for arm in scored_arms(records):
        values, _, _ = score_matrices(records, [arm], benchmark, name)
        found = _estimate(values[0], resamples)
        if found is not None:
            formulation = records.plan.arm(arm).formulation
            keys = {"arm": arm, "formulation": formulation, "benchmark": benchmark}
            rows.append({**keys, "metric": name, "mean": found.mean, **_spread(found)})
    return rows


def _comparison_rows(records: Records, benchmark: str, name: str, resamples: int) -> list[dict]:
    rows = []
    for arm, baseline in compared_pairs(records):
        found = compare(records, arm, baseline, benchmark, name, resamples)
        if found is not None:
            keys = {"arm": arm, "baseline": baseline, "benchmark": benchmark, "metric": name}
            rows.append({**keys, "difference": found.mean, **_spread(found)})
    return rows


def _above_chance_rows(records: Records, scored: list[dict]) -> list[dict]:
    """Each score less the chance level, one number for all scenes: the interval only shifts."""
    rows = []
    for row in scored:
        level = chance_level(records, row["benchmark"], row["metric"])
        if level is not None:
            shifted = {k: None if row[k] is None else row[k] - level for k in ("low", "high")}
            changes = {"baseline": CHANCE, "difference": row["mean"] - level, **shifted}
            kept = {key: row[key] for key in COMPARISON_COLUMNS if key in row}
            rows.append({**kept, **changes})
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


def _estimate(values: np.ndarray, resamples: int) -> Estimate | None:
    return None if np.isnan(values).all() else estimate(values, resamples=resamples)


def _spread(found: Estimate) -> dict:
    return {
        "low": found.low,
        "high": found.high,
        "seeds": found.seeds,
        "scenes": found.scenes,
        "missing": found.missing,
    }


def _table(rows: list[dict], columns: tuple[str, ...]) -> pd.DataFrame:
    """A frame whose low and high stay None (not NaN) where there is no interval."""
    table = pd.DataFrame(rows, columns=list(columns))
    for column in ("low", "high"):
        values = [row[column] for row in rows]
        table[column] = pd.Series(values, dtype=object)
    return table
