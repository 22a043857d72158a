"""Differences with their intervals as words: shared by every sentence and table of the report."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.metrics import number, unit_of_difference
from analysis.statistics import Estimate

_MORE_DIGITS = 2


def interval_text(name: str, found: Estimate, finer: int = 0) -> str:
    """`+3.1 points [1.2, 5.0]`; without brackets where there is no interval.

    finer: decimals beyond the metric's own, for what is small by nature.
    """
    words = [number(name, found.mean, signed=True, finer=finer)]
    if unit_of_difference(name):
        words.append(unit_of_difference(name))
    if found.low is not None:
        ends = [_end(name, end, finer) for end in (found.low, found.high)]
        words.append(f"[{', '.join(ends)}]")
    return " ".join(words)


def _end(name: str, value: float, finer: int) -> str:
    """An end of an interval, with more digits where rounding would hide its side of zero."""
    texts = (number(name, value, finer=finer + extra) for extra in range(_MORE_DIGITS + 1))
    first = text = next(texts)
    while value and not text.strip("−0."):
        text = next(texts, None)
        if text is None:
            return first
    return text


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
