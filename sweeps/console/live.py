"""A table of every job in work, below the lines of the plain console."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sweeps.console.base import Every
from sweeps.console.plain import PlainConsole
from sweeps.console.progress import Running, Snapshot
from sweeps.executors.ledger import Ledger
from sweeps.timekeeping.cost import in_words

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.console import Group

_REFRESH_SECONDS = 1.0
_HEADER = ("run", "arm", "seed", "stage", "step", "loss", "ETA", "slot")
_RIGHT = ("seed", "step", "loss", "ETA")
_GAP = 2  # columns of the terminal between two columns of the table
_LEAST = 8  # of an arm's name is always shown


class LiveConsole(PlainConsole):
    """For a terminal."""

    def __init__(
        self, snapshot: Callable[[Ledger], Snapshot], terminal: Terminal | None = None
    ) -> None:
        super().__init__(snapshot)
        from rich.live import Live

        self._live: Any = Live(console=terminal, auto_refresh=False, transient=True)
        self._live.start()
        self._refresh = Every(_REFRESH_SECONDS, at_once=True)

    def tick(self, ledger: Ledger) -> None:
        if self._refresh.due():
            width = self._live.console.width
            self._live.update(render(self._snapshot(ledger), width), refresh=True)

    def say(self, text: str) -> None:
        self._live.console.print(
            f"[{time.strftime('%H:%M:%S')}] {text}", markup=False, highlight=False
        )

    def close(self) -> None:
        self._live.stop()


def render(snapshot: Snapshot, width: int) -> Group:
    """The summary and the table, in `width` columns; of long names of arms, what fits."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = [_cells(job) for job in snapshot.running]
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for i, name in enumerate(_HEADER):
        needed = max(len(row[i]) for row in [_HEADER, *rows])
        if name == "arm":
            needed = min(needed, _arm_width(rows, width))
        justify = "right" if name in _RIGHT else "left"
        table.add_column(name, justify=justify, width=needed, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row))
    return Group(Text(snapshot.line()), table) if rows else Group(Text(snapshot.line()))


def _arm_width(rows: list[tuple[str, ...]], width: int) -> int:
    others = [i for i, name in enumerate(_HEADER) if name != "arm"]
    taken = sum(max(len(row[i]) for row in [_HEADER, *rows]) + _GAP for i in others)
    return max(_LEAST, width - taken - _GAP)


def _cells(job: Running) -> tuple[str, ...]:
    """One row, in the order of the header."""
    return (
        job.id.removeprefix(f"{job.kind}-"),
        job.arm,
        "" if job.seed is None else str(job.seed),
        job.stage,
        f"{job.step}/{job.total_steps}" if job.total_steps else "",
        _number(job.loss),
        "" if job.eta is None else in_words(job.eta),
        job.where.removeprefix("slot "),
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if math.isfinite(value) else "not finite"
