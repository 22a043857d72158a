"""Work in processes of its own, so that a crash or a hang costs one task and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

POLL_SECONDS = 0.2
BEAT_SECONDS = 0.5
START_SECONDS = 600.0
"""A process that has not begun to work by then never will."""
FAILED_STARTS = 3

Work = Callable[[Any, Callable[[float], None]], Any]
"""(task, beat) -> result; both of them and the function itself can be pickled. It calls
beat(share done) often; what it raises is a failure of its task."""


@dataclass(frozen=True)
class Event:
    """Something heard about one task."""

    task: int
    share: float = 0.0
    """Done so far; 1 at the end."""
    result: Any = None
    failure: str = ""
    """At the end, if there is no result."""

    @property
    def final(self) -> bool:
        return self.share >= 1 or bool(self.failure)


def run_isolated(
    work: Work,
    tasks: Sequence[Any],
    workers: int,
    *,
    stall_seconds: float,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Events of all tasks, in the order in which they happen; one final event for each.

    A task whose process ends, or is silent for `stall_seconds`, fails; the next ones get a new
    process. Ends early, without the rest, once `stop()` is true. Leaves no process behind.
    """
    team = _Team(work, min(workers, len(tasks)))
    waiting, running = list(range(len(tasks)))[::-1], 0
    try:
        while waiting or running:
            if stop():
                return
            running += team.hand_out(tasks, waiting)
            for event in team.heard(stall_seconds):
                running -= event.final
                yield event
    finally:
        team.end()


class _Worker:
    """One process and the task it has."""

    def __init__(self, work: Work) -> None:
        # Not fork: the parent may have threads. The server loads the modules once, then forks.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, work.__module__])
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(work, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.task: int | None = None
        self.ready = False
        self.heard = time.monotonic()

    def end(self) -> str:
        """Kill it; how it ended, if it had done so before."""
        self.process.join(timeout=0.5)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        self.connection.close()
        if code is None:
            return "killed"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class _Team:
    def __init__(self, work: Work, workers: int) -> None:
        self.work, self.size = work, workers
        self.workers: list[_Worker] = []
        self.failed_starts = 0

    def hand_out(self, tasks: Sequence[Any], waiting: list[int]) -> int:
        """Give a task to every process that is free; how many were given out."""
        busy = sum(w.task is not None for w in self.workers)
        while len(self.workers) < min(self.size, busy + len(waiting)):
            self.workers.append(_Worker(self.work))
        given = 0
        for worker in self.workers:
            if worker.task is not None or not worker.ready or not waiting:
                continue
            try:
                worker.connection.send(tasks[waiting[-1]])
            except OSError:  # it died while it was idle; `heard` notices
                continue
            worker.task = waiting.pop()
            worker.heard = time.monotonic()
            given += 1
        return given

    def heard(self, stall_seconds: float) -> Iterator[Event]:
        """What has come in, and the tasks that failed."""
        wait([w.connection for w in self.workers], timeout=POLL_SECONDS)
        for worker in list(self.workers):
            try:
                while worker.connection.poll():
                    yield from self._message(worker, *worker.connection.recv())
            except (EOFError, OSError):
                yield from self._lost(worker, "crashed ({end})")
                continue
            silent = time.monotonic() - worker.heard
            if worker.task is not None and silent > stall_seconds:
                yield from self._lost(worker, f"timed out (nothing for {stall_seconds:g} s)")
            elif not worker.ready and silent > START_SECONDS:
                yield from self._lost(worker, "")

    def _message(self, worker: _Worker, kind: str, value: Any) -> Iterator[Event]:
        worker.heard = time.monotonic()
        if kind == "ready":
            worker.ready = True
            self.failed_starts = 0
            return
        task = worker.task
        if kind == "beat":
            yield Event(task, share=min(value, 0.99))
            return
        worker.task = None
        yield Event(task, 1.0, result=value) if kind == "done" else Event(task, failure=value)

    def _lost(self, worker: _Worker, reason: str) -> Iterator[Event]:
        self.workers.remove(worker)
        end = worker.end()
        if worker.task is not None:
            yield Event(worker.task, failure=reason.format(end=end))
            return
        self.failed_starts += 1
        if self.failed_starts >= FAILED_STARTS:
            raise RuntimeError(f"worker processes do not start ({end})")

    def end(self) -> None:
        """Kill every process."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.connection.close()


def _serve(work: Work, connection: Connection) -> None:
    """What a worker does: tasks one after the other, until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    last = time.monotonic()

    def beat(share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= BEAT_SECONDS:
            last = time.monotonic()
            try:
                connection.send(("beat", share))
            except OSError:
                # Raised, it would look like a fault of the source that is being read.
                os._exit(0)

    try:
        connection.send(("ready", os.getpid()))
        while True:
            task = connection.recv()
            try:
                message = ("done", work(task, beat))
            except (BrokenPipeError, EOFError):
                raise
            except Exception as error:
                message = ("failed", f"failed ({type(error).__name__}: {error})")
            connection.send(message)
    except (BrokenPipeError, EOFError, ConnectionResetError):
        return
