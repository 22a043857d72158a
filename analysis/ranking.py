"""Which arm is best by a metric, and which cannot be told from it."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.metrics import improvement
from analysis.permutation import holm
from analysis.plan import INITIALISATION
from analysis.records import Records
from analysis.statistics import LEVEL
from analysis.summary import Summary, compare, scored_arms


@dataclass(frozen=True)
class Ranking:
    """best: the arm with the best mean; tied: the arms that do not differ from it, Holm-corrected.

    Without an interval (one seed) nothing is known to be tied.
    """

    best: str | None
    tied: frozenset[str] = frozenset()


def rank_arms(records: Records, summary: Summary, benchmark: str, name: str) -> Ranking:
    """Rank the trained arms by one metric; yardsticks and the initialisation do not compete."""
    means = {
        arm: improvement(name, row["mean"])
        for arm in competing_arms(records)
        if (row := summary.score(arm, benchmark, name)) is not None
    }
    if not means:
        return Ranking(None)
    best = max(means, key=lambda arm: means[arm])
    found = {arm: compare(records, best, arm, benchmark, name) for arm in means if arm != best}
    p_values = {
        arm: difference.p_value
        for arm, difference in found.items()
        if difference is not None and difference.p_value is not None
    }
    corrected = holm(list(p_values.values())) if p_values else []
    tied = {arm for arm, p in zip(p_values, corrected) if p > 1 - LEVEL}
    return Ranking(best, frozenset(tied))


def competing_arms(records: Records) -> list[str]:
    """The scored arms that are trained and no yardstick."""
    return [
        arm
        for arm in scored_arms(records)
        if arm != INITIALISATION and not records.plan.arm(arm).yardstick
    ]
