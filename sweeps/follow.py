"""The tracker's loop: project, draw what is due, and listen to the scheduler."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from sweeps.drawing import Drawing


class Projection(Protocol):
    """What is brought up to date, see `SweepProjection`."""

    experiment: str

    def sync(self) -> int: ...
    def sync_study(self) -> None: ...


class Follower:
    """Syncs every `interval` seconds until the scheduler closes `commands` (or dies).

    Anything written to `commands` (a file descriptor) asks for the figures of all finished runs. A
    line of JSON in `answers` says that they are drawn, except for `undrawn`: [[run, reason], ...];
    it also names the `experiment` in MLflow.
    """

    def __init__(
        self,
        projection: Projection,
        drawing: Drawing,
        interval: float,
        commands: int,
        answers: TextIO,
    ) -> None:
        self._projection = projection
        self._drawing = drawing
        self._interval = interval
        self._commands = commands
        self._answers = answers

    def run(self) -> None:
        """Returns after the last sync; raises what that raises."""
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
        self._projection.sync()
        self._projection.sync_study()

    def _heard(self, seconds: float) -> bytes | None:
        """What the scheduler wrote within this time; b"" if it closed its end."""
        ready, _, _ = select.select([self._commands], [], [], max(0.0, seconds))
        return os.read(self._commands, 1024) if ready else None

    def _draw_everything(self) -> None:
        while self._draw_next():
            pass
        undrawn = [[found.run, found.reason] for found in self._drawing.undrawn()]
        answer = {"undrawn": undrawn, "experiment": self._projection.experiment}
        print(json.dumps(answer), file=self._answers, flush=True)

    def _draw_next(self) -> bool:
        began = time.monotonic()
        happened = self._drawing.draw_next()
        if happened is not None:
            _say(f"{happened} ({time.monotonic() - began:.1f} s)")
        return happened is not None

    def _sync(self) -> None:
        began = time.monotonic()
        written = self._projection.sync()
        _say(f"{written} values in {time.monotonic() - began:.2f} s")

    def _prepare(self) -> None:
        self._draw_next()  # what is drawn already needs no preparation
        self._drawing.prepare()

    def _guarded(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:  # a store that is away must not end it
            _say(f"will try again: {error!r}")


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
