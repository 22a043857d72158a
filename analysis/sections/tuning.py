"""How much of the differences is tuning: arms with chosen values beside those with default ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.document import Section, TableBlock, Text
from analysis.markup import Table
from analysis.metrics import heading
from analysis.records import Records, score_matrices
from analysis.statistics import Estimate, estimate
from analysis.wording import interval_text

UNTUNED = "-default"
"""How the name of an arm ends that has the default values beside its tuned one."""
NONE = "–"


def tuning_section(records: Records) -> Section | None:
    """What tuning brings to each arm and to its difference to the baseline; None without tuning."""
    arms = tuned_arms(records)
    if not arms:
        return None
    about = (
        "Every arm that was run both with the values chosen by `sweep=tuning` and with the default "
        "ones, on seeds and scenes that had no part in the choice. The last column is a difference "
        "of differences, paired over seeds and scenes like every other: what tuning changes about "
        "the comparison with the baseline."
    )
    return Section("How much of it is tuning?", (Text(about), TableBlock(tuning_table(records))))


def tuning_sentence(records: Records) -> str | None:
    """The headline's difference with and without tuning; None where it was not run both ways."""
    asked = records.plan.headline
    if not {asked.arm, asked.baseline} <= set(tuned_arms(records)):
        return None
    name, pair = asked.metrics[-1], [asked.arm, asked.baseline]
    tuned = _contrast(records, pair, (1, -1), name)
    usual = _contrast(records, _untuned(pair), (1, -1), name)
    change = _contrast(records, [*pair, *_untuned(pair)], (1, -1, -1, 1), name)
    if tuned is None or usual is None or change is None:
        return None
    return (
        f"**How much is tuning:** {asked.arm} − {asked.baseline} in {heading(name)} is "
        f"{interval_text(name, tuned)} with the values chosen for each, "
        f"{interval_text(name, usual)} with the default ones; tuning changes it by "
        f"{interval_text(name, change)}."
    )


def tuned_arms(records: Records) -> list[str]:
    """The arms that were planned both ways, in the order of the plan."""
    names = [arm.name for arm in records.plan.arms]
    return [name for name in names if name + UNTUNED in names]


def tuning_table(records: Records) -> Table:
    """Row by row: gain by tuning, difference to the baseline both ways, and how much it changed."""
    name, baseline = records.plan.headline.metrics[-1], records.plan.baseline
    arms = tuned_arms(records)
    header = ("arm", "tuned − default", "to baseline, tuned", "default", "change")
    rows = []
    for arm in arms:
        gain = _cell(records, [arm, arm + UNTUNED], (1, -1), name)
        if arm == baseline or baseline not in arms:
            rows.append((arm, gain, NONE, NONE, NONE))
            continue
        pair = [arm, baseline]
        rows.append(
            (
                arm,
                gain,
                _cell(records, pair, (1, -1), name),
                _cell(records, _untuned(pair), (1, -1), name),
                _cell(records, [*pair, *_untuned(pair)], (1, -1, -1, 1), name),
            )
        )
    title = f"{heading(name)} on {records.plan.headline.benchmark} scenes, baseline {baseline}"
    note = "Where no candidate was better than the default values, both arms are the same run."
    return Table(title, header, tuple(rows), note=note)


def _untuned(arms: Sequence[str]) -> list[str]:
    return [arm + UNTUNED for arm in arms]


def _cell(records: Records, arms: Sequence[str], weights: Sequence[int], name: str) -> str:
    found = _contrast(records, arms, weights, name)
    return NONE if found is None else interval_text(name, found)


def _contrast(
    records: Records, arms: Sequence[str], weights: Sequence[int], name: str
) -> Estimate | None:
    """The weighted sum of arms over the seeds and scenes they share; None where none is shared."""
    benchmark = records.plan.headline.benchmark
    values, _, _ = score_matrices(records, list(arms), benchmark, name)
    combined = np.einsum("a,ask->sk", np.array(weights, dtype=float), values)
    if np.isnan(combined).all():
        return None
    planned = set.intersection(*(records.plan.seeds(arm) for arm in arms))
    return estimate(combined, planned=len(planned))
