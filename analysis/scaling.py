"""The scaling curve: a metric against the number of unlabelled clips, with its yardsticks.

A curve is stated by its end points, by its slope per doubling, by fitted shapes
(`analysis/fits.py`) with a prediction of its largest point from the others, and by what it is
worth in labels (`analysis/label_worth.py`). The fits' axis is 1 + clips / unit, unit = the labelled
clips that every point of the curve has, so that zero unlabelled clips are an ordinary point.
Yardsticks (more labels, the same wall time, the flow objective on labelled clips alone) are never
on the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.curve_points import Points
from analysis.fits import Fit, HeldOut, fit_all, held_out
from analysis.label_worth import LabelWorth, along_curve, crossing
from analysis.metrics import improvement
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
    yardstick. unit: see the module text. fits: the shapes, best by AICc first; held_out: their
    predictions of the largest count from the smaller ones; both empty with too few counts.
    worth: yardstick with more labels -> unlabelled clips for a labelled one.
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
    unit: float = 1.0
    fits: tuple[Fit, ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    worth: dict[str, LabelWorth] = field(default_factory=dict)


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
    arms, arms_table = curve_arms(records), summary.arms
    rows = arms_table[(arms_table["benchmark"] == benchmark) & (arms_table["metric"] == metric)]
    rows = rows.set_index("arm")
    arms = [arm for arm in arms if arm.name in rows.index]
    points = rows.loc[[arm.name for arm in arms], ["mean", "low", "high", "seeds"]].reset_index()
    points.insert(0, "count", [arm.unlabelled_clips for arm in arms])
    marks = [arm.name for arm in records.plan.arms if arm.yardstick and arm.name in rows.index]
    yardsticks = rows.loc[marks, ["mean", "low", "high", "seeds"]].reset_index()
    gain = slope = None
    if len(arms) >= 2:
        gain = compare(records, arms[-1].name, arms[0].name, benchmark, metric)
        counts = np.array([arm.unlabelled_clips for arm in arms], dtype=float)
        slope = _contrast(records, arms, slope_weights(counts), benchmark, metric)
    first = arms[0].name if arms else None
    gains, yardstick_gains = (
        _gains(records, table, first, benchmark, metric) for table in (points, yardsticks)
    )
    against = {
        mark: compare(records, arms[-1].name, mark, benchmark, metric) for mark in marks if arms
    }
    margins = {mark: found for mark, found in against.items() if found is not None}
    unit = unit_of(arms)
    runs = run_points(records, arms, benchmark, metric, unit)
    return ScalingCurve(
        benchmark, metric, points, yardsticks, gains, yardstick_gains, gain, slope, margins,
        unit=unit,
        fits=tuple(fit_all(runs)) if runs is not None and len(arms) >= 2 else (),
        held_out=tuple(held_out(runs)) if runs is not None and len(arms) >= 3 else (),
        worth=_worth(records, arms, benchmark, metric, unit),
    )  # fmt: skip


def unit_of(arms: Sequence[Arm]) -> float:
    """Labelled clips of the curve's arms; the smallest positive count where they are not stated."""
    labelled = {arm.labelled_clips for arm in arms}
    if len(labelled) == 1 and next(iter(labelled)):
        return float(labelled.pop())
    positive = [arm.unlabelled_clips for arm in arms if arm.unlabelled_clips]
    return float(min(positive, default=1))


def run_points(
    records: Records, arms: Sequence[Arm], benchmark: str, metric: str, unit: float
) -> Points | None:
    """Every run's mean over the scenes that all arms have; None without a common scene."""
    found = [records.matrix(arm.name, benchmark, metric) for arm in arms]
    if not found or any(matrix is None for matrix in found):
        return None
    scenes = sorted(set.intersection(*(set(matrix.scenes) for matrix in found)))
    seeds = sorted(set.union(*(set(matrix.seeds) for matrix in found)))
    if not scenes:
        return None
    scores = np.full((len(seeds), len(arms)), np.nan)
    for column, matrix in enumerate(found):
        rows = [seeds.index(seed) for seed in matrix.seeds]
        scores[rows, column] = np.nanmean(matrix.at(matrix.seeds, scenes), axis=1)
    counts = np.array([arm.unlabelled_clips for arm in arms], dtype=float)
    return Points(counts, scores, unit)


def _worth(
    records: Records, arms: Sequence[Arm], benchmark: str, metric: str, unit: float
) -> dict[str, LabelWorth]:
    """Against every yardstick with more labels and no unlabelled clips."""
    own = {arm.labelled_clips for arm in arms}
    if len(arms) < 2 or len(own) != 1 or None in own:
        return {}
    labelled, found = own.pop(), {}
    counts = np.array([arm.unlabelled_clips for arm in arms], dtype=float)
    for mark in (arm for arm in records.plan.arms if arm.yardstick):
        extra = (mark.labelled_clips or 0) - labelled
        if extra < 1 or mark.unlabelled_clips:
            continue
        names = [arm.name for arm in (*arms, mark)]
        values, seeds, _ = score_matrices(records, names, benchmark, metric)
        if not seeds or np.isnan(values).any(axis=(0, 1)).all():
            continue
        turned = improvement(metric, values)
        margins = along_curve(counts, turned[:-1], turned[-1], unit)
        found[mark.name] = crossing(margins, mark.name, extra)
    return found


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
) -> pd.DataFrame:
    """The table with every score replaced by its paired difference to the arm `first`."""
    rows = []
    for row in table.to_dict("records"):
        found = None
        if row["arm"] == first:
            found = Estimate(0.0, 0.0, 0.0, row["seeds"], 0)
        elif first is not None:
            found = compare(records, row["arm"], first, benchmark, metric)
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
) -> Estimate | None:
    """Weighted sum over arms per seed and scene: whole runs are resampled, pairing is kept."""
    values, _, _ = score_matrices(records, [arm.name for arm in arms], benchmark, metric)
    contrast = np.einsum("a,ask->sk", weights, values)
    planned = set.intersection(
        *(records.plan.seeds(arm.name) for arm in records.plan.arms if records.plan.on_curve(arm))
    )
    if np.isnan(contrast).all():
        return None
    return estimate(contrast, planned=len(planned))
