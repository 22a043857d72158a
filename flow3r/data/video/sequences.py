"""Image sequences: numbered picture files of one folder, read as a video.

A sequence goes by the name of its frames with `%d`, or `%05d` where the numbers have leading zeros,
in place of the number: `walk/frame_%05d.png`; `%%` is a percent sign. The number is the last group
of digits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flow3r.errors import DataError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_NUMBER = re.compile(r"^(.*?)([0-9]{1,18})([^0-9]*)$", re.DOTALL)  # 18 digits fit in 64 bits
_PLACE = re.compile(r"%(?:%|0([0-9]+)d|d)")


@dataclass(frozen=True)
class Numbered:
    """One sequence of a folder."""

    pattern: str
    numbers: tuple[int, ...]  # rising


def frame_path(pattern: Path, number: int) -> Path:
    """The file of one frame of the sequence `<folder>/<pattern>`."""

    def filled(place: re.Match[str]) -> str:
        return "%" if place[0] == "%%" else str(number).zfill(int(place[1] or 0))

    return pattern.with_name(_PLACE.sub(filled, pattern.name))


def find_sequences(names: Iterable[str]) -> tuple[list[Numbered], list[str]]:
    """The sequences among the file names of one folder, and the pictures without a number.

    Frames of one sequence differ in the number alone. `a9.png` and `a10.png` belong together, as do
    `a09.png` and `a10.png`; `a9.png` and `a09.png` do not.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    single = []
    for name in names:
        found = _NUMBER.match(name)
        if found is None:
            single.append(name)
        else:
            around = found[1].replace("%", "%%"), found[3].replace("%", "%%")
            groups.setdefault(around, []).append(found[2])
    sequences = []
    for (before, after), digits in sorted(groups.items()):
        for width, numbers in sorted(_by_width(digits).items()):
            place = f"%0{width}d" if width else "%d"
            sequences.append(Numbered(f"{before}{place}{after}", tuple(sorted(numbers))))
    return sequences, sorted(single)


def _by_width(digits: list[str]) -> dict[int, list[int]]:
    """Padded width (0: none) -> numbers, so that every width writes its numbers back."""
    padded = {len(d) for d in digits if d[0] == "0" and len(d) > 1}
    groups: dict[int, list[int]] = {}
    for d in digits:
        if len(d) in padded:
            width = len(d)
        else:
            width = max((w for w in padded if w < len(d)), default=0)
        groups.setdefault(width, []).append(int(d))
    return groups


def sequence_numbers(pattern: Path) -> list[int]:
    """The numbers of the frames that a sequence has now, rising; DataError if it has none."""
    names = [entry.name for entry in os.scandir(pattern.parent)]
    for sequence in find_sequences(names)[0]:
        if sequence.pattern == pattern.name:
            return list(sequence.numbers)
    raise DataError(f"{pattern}: the sequence has no frames")
