"""The tracker's loop: project, draw what is due, and listen to the scheduler."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from sweeps.drawing import Drawing

_LAST_SYNC_SECONDS = 60.0


class Projection(Protocol):
    """What is brought up to date, see `SweepProjection`."""

    experiment: str

    def sync(self) -> int: ...
    def sync_study(self) -> None: ...


class Follower:
    """Syncs every `interval` seconds until the scheduler closes `commands` (or dies).

    Anything written to `commands` (a file descriptor) asks for the figures of all finished runs. A
    line of JSON in `answers` says that they are drawn, except for `undrawn`: [[run, reason], ...];
    it also names the `experiment` in MLflow, null where that was never reached.
    """

    def __init__(
        self,
        open_projection: Callable[[], Projection],
        drawing: Drawing,
        interval: float,
        commands: int,
        answers: TextIO,
        patience: float = _LAST_SYNC_SECONDS,
    ) -> None:
        """`open_projection` raises where the store is away; it is then called again.

        `patience`: seconds for which the last sync is tried again.
        """
        self._open = open_projection
        self._projection: Projection | None = None
        self._drawing = drawing
        self._interval = interval
        self._commands = commands
        self._answers = answers
        self._patience = patience
        self._complaint = ""

    def run(self) -> None:
        """Returns after the last sync; raises what that raises once patience has ended."""
        self._guarded(self._sync)
        self._guarded(self._prepare)
        next_sync = time.monotonic() + self._interval
        while True:
            drew = self._draw_next()
            if time.monotonic() >= next_sync:
                self._guarded(self._sync)
                next_sync = time.monotonic() + self._interval
            heard = self._heard(0.0 if drew else next_sync - time.monotonic())
            if heard == b"":
                break
            if heard:
                self._draw_everything()
        self._last_sync()

    def _heard(self, seconds: float) -> bytes | None:
        """What the scheduler wrote within this time; b"" if it closed its end."""
        ready, _, _ = select.select([self._commands], [], [], max(0.0, seconds))
        return os.read(self._commands, 1024) if ready else None

    def _draw_everything(self) -> None:
        while self._draw_next():
            pass
        undrawn = [[found.run, found.reason] for found in self._drawing.undrawn()]
        experiment = self._projection.experiment if self._projection else None
        answer = {"undrawn": undrawn, "experiment": experiment}
        print(json.dumps(answer), file=self._answers, flush=True)

    def _draw_next(self) -> bool:
        began = time.monotonic()
        happened = self._drawing.draw_next()
        if happened is not None:
            _say(f"{happened} ({time.monotonic() - began:.1f} s)")
        return happened is not None

    def _sync(self) -> None:
        began = time.monotonic()
        if self._projection is None:
            self._projection = self._open()
        written = self._projection.sync()
        if written or self._complaint:
            _say(f"{written} values in {time.monotonic() - began:.2f} s")
        self._complaint = ""

    def _last_sync(self) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._sync()
                self._projection.sync_study()
                return
            except Exception as error:
                if time.monotonic() >= deadline:
                    raise
                self._complain(error)
            time.sleep(min(self._interval, max(0.0, deadline - time.monotonic())))

    def _prepare(self) -> None:
        self._draw_next()  # what is drawn already needs no preparation
        self._drawing.prepare()

    def _guarded(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:  # a store that is away must not end it
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Once for each trouble: a server may be away for days."""
        complaint = type(error).__name__
        if complaint != self._complaint:
            _say(f"will try again: {error!r}")
        self._complaint = complaint


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
