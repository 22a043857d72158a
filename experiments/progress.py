"""What a person sees while one command works: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0: unknown)."""


@contextlib.contextmanager
def showing_progress(live: bool | None = None) -> Iterator[Report]:
    """A function to report progress to; live: bars (None: where the output is a terminal)."""
    if sys.stderr.isatty() if live is None else live:
        with _bars() as report:
            yield report
    else:
        yield plain_lines(sys.stderr)


def plain_lines(output: TextIO) -> Report:
    """A line when something begins, and one when all of it is done."""
    began: dict[str, float] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in began:
            began[what] = time.monotonic()
            print(f"{what} ...", file=output, flush=True)
        if total and done >= total and began[what] >= 0:
            took = time.monotonic() - began[what]
            print(f"{what}: {done} done in {took:.1f} s", file=output, flush=True)
            began[what] = -1.0

    return report


@contextlib.contextmanager
def _bars() -> Iterator[Report]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=_console()) as progress:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total or None)
            progress.update(tasks[what], completed=done, total=total or None)

        yield report


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)
