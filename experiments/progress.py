"""What a person sees while one command works: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TextIO

LINE_SECONDS = 5.0

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0: unknown)."""


LINE_SECONDS = 15.0
"""Between plain lines about the same thing."""


@contextlib.contextmanager
def showing_progress(live: bool | None = None) -> Iterator[Report]:
    """A function to report progress to; live: bars (None: where the output is a terminal)."""
    if sys.stderr.isatty() if live is None else live:
        with _bars() as report:
            yield report
    else:
        yield plain_lines(sys.stderr)


def plain_lines(output: TextIO) -> Report:
    """A line when something begins, now and then, and when all of it is done."""
    began: dict[str, float] = {}
    said: dict[str, float] = {}

    def report(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what not in began:
            began[what] = said[what] = now
            print(f"{what} ...", file=output, flush=True)
        if began[what] < 0:
            return
        took = now - began[what]
        if total and done >= total:
            print(f"{what}: {done} done in {took:.1f} s", file=output, flush=True)
            began[what] = -1.0
        elif done and total and now - said[what] >= LINE_SECONDS:
            left = took / done * (total - done)
            print(f"{what}: {done} of {total}, about {left:.0f} s left", file=output, flush=True)
            said[what] = now

    return report


def lines_with_eta(what: str, output: TextIO) -> Callable[[int, int, int], None]:
    """A function (done, total, failed) that prints a line every few seconds, with the time left."""
    began = time.monotonic()
    last = began

    def report(done: int, total: int, failed: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and done and now - last < LINE_SECONDS:
            return
        last = now
        rate = done / max(now - began, 1e-9)
        left = str(timedelta(seconds=round((total - done) / rate))) if rate else "?"
        print(
            f"{what}: {done}/{total} clips, {failed} failed, {rate:.2f} a second, {left} left",
            file=output,
            flush=True,
        )

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
