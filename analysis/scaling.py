"""The scaling curve: a metric against the number of unlabelled clips, with its yardsticks.

Curve fits (power laws and the like) are not made here: a curve is stated by its end points and
by its slope per doubling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.plan import Arm
from analysis.records import Records, score_matrices
from analysis.statistics import Estimate, estimate
from analysis.summary import Summary, compare, scored_arms
from flow3r.errors import DataError


@dataclass(frozen=True)
class ScalingCurve:
    """points: count, arm, mean, low, high, seeds, in order of count; yardsticks: arm, mean, low,
    high, seeds. gains and yardstick_gains: the same columns for the paired difference to the
    smallest count. gain: largest count - smallest count. slope: per doubling of (1 + count). Both
    are None with fewer than two counts or no shared seed. margins: yardstick -> largest count -
    yardstick.
    """

    benchmark: str
    metric: str
    points: pd.DataFrame
    yardsticks: pd.DataFrame
    gains: pd.DataFrame
    yardstick_gains: pd.DataFrame
    gain: Estimate | None
    slope: Estimate | None
    margins: dict[str, Estimate]


def curve_arms(records: Records) -> list[Arm]:
    """The arms on the curve that have a finished run, in order of their unlabelled clips."""
    if records.plan.scaling_prefix is None:
        raise DataError(f"sweep {records.plan.sweep!r} has no scaling axis in its plan")
    arms = [records.plan.arm(name) for name in scored_arms(records)]
    arms = [arm for arm in arms if records.plan.on_curve(arm)]
    if any(arm.unlabelled_clips is None for arm in arms):
        raise DataError(f"an arm of the scaling curve does not state its unlabelled clips: {arms}")
    counts = [arm.unlabelled_clips for arm in arms]
    if len(set(counts)) != len(counts):
        raise DataError(f"two arms of the scaling curve have the same unlabelled clips: {counts}")
    return sorted(arms, key=lambda arm: arm.unlabelled_clips)


def scaling_curve(records: Records, summary: Summary, benchmark: str, metric: str) -> ScalingCurve:
    """The curve of one metric."""
    arms, arms_table, resamples = curve_arms(records), summary.arms, summary.resamples
    rows = arms_table[(arms_table["benchmark"] == benchmark) & (arms_table["metric"] == metric)]
    rows = rows.set_index("arm")
    arms = [arm for arm in arms if arm.name in rows.index]
    points = rows.loc[[arm.name for arm in arms], ["mean", "low", "high", "seeds"]].reset_index()
    points.insert(0, "count", [arm.unlabelled_clips for arm in arms])
    marks = [arm.name for arm in records.plan.arms if arm.yardstick and arm.name in rows.index]
    yardsticks = rows.loc[marks, ["mean", "low", "high", "seeds"]].reset_index()
    gain = slope = None
    if len(arms) >= 2:
        gain = compare(records, arms[-1].name, arms[0].name, benchmark, metric, resamples)
        counts = np.array([arm.unlabelled_clips for arm in arms], dtype=float)
        slope = _contrast(records, arms, slope_weights(counts), benchmark, metric, resamples)
    first = arms[0].name if arms else None
    gains, yardstick_gains = (
        _gains(records, table, first, benchmark, metric, resamples)
        for table in (points, yardsticks)
    )
    against = {
        mark: compare(records, arms[-1].name, mark, benchmark, metric, resamples)
        for mark in marks
        if arms
    }
    margins = {mark: found for mark, found in against.items() if found is not None}
    return ScalingCurve(
        benchmark, metric, points, yardsticks, gains, yardstick_gains, gain, slope, margins
    )


def slope_weights(counts: np.ndarray) -> np.ndarray:
    """Weights c with sum(c * y) = least-squares slope of y on log2(1 + count). counts [A]."""
    x = np.log2(1.0 + counts)
    centred = x - x.mean()
    return centred / (centred**2).sum()


def _gains(
    records: Records,
    table: pd.DataFrame,
    first: str | None,
    benchmark: str,
    metric: str,
    resamples: int,
) -> pd.DataFrame:
    """The table with every score replaced by its paired difference to the arm `first`."""
    rows = []
    for row in table.to_dict("records"):
        found = None
        if row["arm"] == first:
            found = Estimate(0.0, 0.0, 0.0, row["seeds"], 0)
        elif first is not None:
            found = compare(records, row["arm"], first, benchmark, metric, resamples)
        if found is not None:
            values = {"mean": found.mean, "low": found.low, "high": found.high}
            rows.append({**row, **values, "seeds": found.seeds})
    return pd.DataFrame(rows, columns=table.columns, dtype=object)


def _contrast(
    records: Records,
    arms: list[Arm],
    weights: np.ndarray,
    benchmark: str,
    metric: str,
    resamples: int,
) -> Estimate | None:
    """Weighted sum over arms per seed and scene: whole runs are resampled, pairing is kept."""
    values, _, _ = score_matrices(records, [arm.name for arm in arms], benchmark, metric)
    contrast = np.einsum("a,ask->sk", weights, values)
    return None if np.isnan(contrast).all() else estimate(contrast, resamples=resamples)
