"""Why a source, or a part of one, gives no clip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

NAMED = 3
"""A message names this many skipped sources."""


@dataclass(frozen=True)
class Skipped:
    """A source, or parts of one, that give no clip; the kind of reason stands before ` (`."""

    path: str
    reason: str

    @property
    def kind(self) -> str:
        return self.reason.split(" (")[0]


@dataclass
class Tally:
    """The parts of one source that give no clip, counted by kind; one line for each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    firsts: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, seconds: float, detail: str = "") -> None:
        """Count one part that begins at `seconds` from the source's first frame."""
        self.counts[kind] += 1
        where = f"at {seconds:.2f} s"
        self.firsts.setdefault(kind, f"{where}, {detail}" if detail else where)

    def reasons(self) -> list[str]:
        """`<kind> (<where and why>)`, with the number of places where there are several."""
        return [
            f"{kind} ({self.firsts[kind]})"
            if count == 1
            else f"{kind} ({count} places, the first {self.firsts[kind]})"
            for kind, count in self.counts.items()
        ]


def counts_by_kind(skipped: Iterable[Skipped]) -> dict[str, int]:
    """How many sources each kind of reason was given for, most frequent first."""
    return dict(Counter(s.kind for s in skipped).most_common())


def summary(skipped: list[Skipped]) -> str:
    """One line with the first few reasons."""
    named = [f"{s.path}: {s.reason}" for s in skipped[:NAMED]]
    more = len(skipped) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")
