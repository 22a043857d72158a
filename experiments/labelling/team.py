"""Several processes that label clips. Any of them may die: its clips go to another one."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from experiments.labelling.job import LabelJob, Result
from flow3r.data.video.manifest import ManifestClip
from flow3r.errors import ConfigError, DataError

AHEAD = 2
"""Clips dealt to a process at a time: it need not wait for the next one."""
DEATHS = 3
"""A clip over which so many processes have died is given up."""
AT_START = -1
"""The row of deaths before the first clip."""
POLL_SECONDS = 0.5
STALL_SECONDS = 900.0
"""A process that has said nothing for so long, hangs, and is ended."""


def label_in_processes(
    job: LabelJob, rows: list[int], devices: list[str], stop: Callable[[], bool]
) -> Iterator[Result]:
    """Label the rows in one process per entry of `devices`, in any order, until told to stop.

    Raises what a process finds wrong with every clip, and DataError if one cannot even start.
    """
    waiting, deaths = deque(rows), Counter()
    members = [_Member(job, device) for device in devices[: len(rows)]]
    try:
        while any(m.dealt for m in members) or (waiting and not stop()):
            for member in members:
                while waiting and len(member.dealt) < AHEAD and not stop():
                    row = waiting.popleft()
                    member.deal(row, job.manifest.clip(row))
            for place, member in enumerate(members):
                yield from member.results()
                member.end_if_silent()
                if member.alive:
                    continue
                members[place] = _Member(job, member.device)
                yield from _after_death(member, waiting, deaths)
            wait([m.connection for m in members], POLL_SECONDS)
    finally:
        for member in members:
            member.dismiss()


def _after_death(member: _Member, waiting: deque[int], deaths: Counter[int]) -> Iterator[Result]:
    """The clip it died over waits again, or is given up; what else it had been dealt waits again.

    Raises DataError where the processes die before they are ready.
    """
    dealt = list(member.dealt)
    if not member.ready:
        deaths[AT_START] += 1
        if deaths[AT_START] >= DEATHS:
            raise DataError(f"labelling processes end at their start ({member.exit_code})")
    elif dealt:
        row = dealt.pop(0)
        deaths[row] += 1
        if deaths[row] >= DEATHS:
            reason = f"{DEATHS} processes died over it (the last with {member.exit_code})"
            yield Result(row, reason=reason)
        else:
            waiting.append(row)
    waiting.extendleft(reversed(dealt))


class _Member:
    """One process, as the one that deals sees it."""

    def __init__(self, job: LabelJob, device: str):
        # Spawned: a fork would share what CUDA and the decoders hold.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, job, device), daemon=True)
        self._process.start()
        theirs.close()  # so that its death ends the connection
        self.device, self.ready, self.alive = device, False, True
        self._heard = time.monotonic()
        self.dealt: deque[int] = deque()

    @property
    def exit_code(self) -> int | None:
        """How the process ended."""
        self._process.join(POLL_SECONDS)
        return self._process.exitcode

    def deal(self, row: int, clip: ManifestClip) -> None:
        """One clip more to do. Clips are handed over, so that no process holds the manifest."""
        if not self.dealt:
            self._heard = time.monotonic()
        self.dealt.append(row)
        self._send((row, clip))

    def results(self) -> Iterator[Result]:
        """What it has done since."""
        while self.alive and self.connection.poll():
            try:
                message = self.connection.recv()
            except (EOFError, OSError):
                self.alive = False
                return
            if isinstance(message, Exception):
                raise message
            self.ready, self._heard = True, time.monotonic()
            if message is not None:
                self.dealt.remove(message.row)
                yield message

    def end_if_silent(self) -> None:
        """Kill it where it hangs; `results` will see that."""
        if self.dealt and time.monotonic() - self._heard > STALL_SECONDS:
            self._process.kill()

    def dismiss(self) -> None:
        """Let it end after the clip it is at."""
        self._send(None)
        self.connection.close()
        self._process.join(STALL_SECONDS)
        self._process.kill()
        self._process.join()

    def _send(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # it died: `results` will see that
            self.connection.send(message)


def _work(connection: Connection, job: LabelJob, device: str) -> None:
    """The life of one process: clips in, results out, until the other side ends it or is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # the one that deals decides
    from experiments.threads import limit_threads

    limit_threads(1)
    try:
        maker = job.maker(device)
        connection.send(None)
        while (dealt := connection.recv()) is not None:
            connection.send(job.attempt(maker, *dealt))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except (ConfigError, DataError) as error:
        connection.send(error)
