"""Differences with their intervals as words: shared by every sentence and table of the report."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.metrics import improvement, metric, number, unit_of_difference
from analysis.statistics import Estimate
from analysis.summary import Row


def estimate_of(row: Row) -> Estimate:
    """The numbers of a comparison row."""
    return Estimate(row["difference"], row["low"], row["high"], row["seeds"], row["scenes"])


def verdict_of(name: str, found: Estimate) -> str:
    """'better', 'worse' or 'undecided': which side of zero the interval lies on, if any."""
    if not found.excludes_zero:
        return "undecided"
    return "better" if improvement(name, found.mean) > 0 else "worse"


def interval_text(name: str, found: Estimate, unit: bool = True) -> str:
    """`+3.1 points [1.2, 5.0]`; without brackets where there is no interval."""
    words = [number(name, found.mean, signed=True)]
    if unit and unit_of_difference(name):
        words.append(unit_of_difference(name))
    if found.low is not None:
        words.append(f"[{number(name, found.low)}, {number(name, found.high)}]")
    return " ".join(words)


def differences_text(found: Sequence[tuple[str, Estimate]]) -> str:
    """`RRA@15 +3.1 points [1.2, 5.0], AUC@30 +1.4 [0.3, 2.5]`: a unit is said once."""
    parts, said = [], None
    for name, difference in found:
        unit = unit_of_difference(name)
        parts.append(f"{metric(name).label} {interval_text(name, difference, unit != said)}")
        said = unit
    return ", ".join(parts)


def basis_text(found: Sequence[Estimate]) -> str:
    """`5 seeds × 512 scenes`, or the range where metrics differ in it."""
    seeds, scenes = [f.seeds for f in found], [f.scenes for f in found]
    return f"{_counted(seeds, 'seed')} × {_counted(scenes, 'scene')}"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _counted(counts: Sequence[int], noun: str) -> str:
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low}-{high}'} {noun}{'' if high == 1 else 's'}"
