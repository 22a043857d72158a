"""Kills processes of a sweep at random moments, starts the sweep again, and watches what runs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from sweeps import states

SIGNALS = {
    "child": (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT),
    "scheduler": (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT),
    "tracker": (signal.SIGKILL, signal.SIGTERM),  # Ctrl-C it leaves to the scheduler
    "helper": (signal.SIGKILL,),  # what children are forked from
}
SCRIPTS = {"run.py": "scheduler", "track.py": "tracker"}
VICTIMS = (*("child",) * 3, *("scheduler",) * 2, "tracker", "helper", "everything")
"""What is chosen from: the order says how often."""
LONGEST_DELAY = 4.0
"""Seconds between a job's end and the kill that was to follow it, at most."""
POLL = 0.1
MOST_RESTARTS = 5  # after the last kill; one is needed
MISTAKE = 2  # the front door's exit code for what a restart cannot mend


def processes_of(folder: Path) -> dict[str, list[psutil.Process]]:
    """The living processes that work on an output folder, by what they are."""
    found: dict[str, list[psutil.Process]] = {kind: [] for kind in SIGNALS}
    others = []
    for process in psutil.process_iter():
        if job_of(process, folder):
            found["child"].append(process)
            continue
        words = command(process)
        scripts = {Path(word).name for word in words} & set(SCRIPTS)
        if scripts and any(str(folder) in word for word in words):
            found[SCRIPTS[scripts.pop()]].append(process)
        elif words:
            others.append(process)
    schedulers = {process.pid for process in found["scheduler"]}
    found["helper"] = [process for process in others if parent(process) in schedulers]
    return found


def job_of(process: psutil.Process, folder: Path) -> str | None:
    """The run or stage that a process works on: its output goes to that one's log."""
    try:
        log = Path(os.readlink(f"/proc/{process.pid}/fd/1"))
    except OSError:  # dead, even if nobody has waited for it yet; or not ours to look at
        return None
    return log.parent.name if log.name == "log.txt" and folder in log.parents else None


def command(process: psutil.Process) -> list[str]:
    """Its words; none for a process that is dead, even if nobody has waited for it yet."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


class Watch:
    """Sees to it that no run or stage is worked on by two processes at the same time."""

    def __init__(self, folder: Path) -> None:
        self.overlaps: list[str] = []
        self._folder = folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(POLL):
            working: dict[str, psutil.Process] = {}
            for process in processes_of(self._folder)["child"]:
                job = job_of(process, self._folder)
                earlier = working.setdefault(job, process) if job else process
                if earlier == process or parent(process) == earlier.pid:
                    continue
                # One that died since it was listed has no log any more.
                if job_of(earlier, self._folder) == job:
                    self.overlaps.append(f"{job}: {earlier} and {process}")


class Monkey:
    """Torments the sweep of one output folder, which has `jobs` runs and stages."""

    def __init__(
        self, start: Callable[[], subprocess.Popen], folder: Path, jobs: int, seed: int, said: Path
    ) -> None:
        """`start`: the command that begins or continues the sweep; `said`: what it prints."""
        self.killed: Counter[str] = Counter()
        self.exit_codes: Counter[int] = Counter()
        self._start, self._folder, self._jobs, self._said = start, folder, jobs, said
        self._random = random.Random(seed)
        self._schedulers: list[subprocess.Popen] = []

    def torment(self, kills: int, schedulers: int) -> None:
        """Kill so many times while that many schedulers share the work; all have ended after it.

        The first kill takes everything at once with SIGKILL, so that few kills have that one, too.
        """
        self._schedulers = [self._start() for _ in range(schedulers)]
        for jobs_done in sorted(self._random.choices(range(self._jobs), k=kills)):
            while self._done() < jobs_done:
                self._keep_going()
            self._wait(self._random.uniform(0, LONGEST_DELAY))
            first = not self.killed
            while not self._strike("everything" if first else self._random.choice(VICTIMS)):
                self._keep_going()
        for _ in range(MOST_RESTARTS):
            codes = [scheduler.wait() for scheduler in self._schedulers]
            if not any(codes):
                return
            self._keep_going()
        raise AssertionError(f"no end after the last kill, {self.exit_codes}: {self._last_words()}")

    def _done(self) -> int:
        directories = [*self._folder.glob("runs/*"), *self._folder.glob("stages/*")]
        return sum(states.state_of(directory) == states.DONE for directory in directories)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._keep_going()

    def _keep_going(self) -> None:
        """Start again whatever scheduler has ended, then wait a little."""
        for index, scheduler in enumerate(self._schedulers):
            if (code := scheduler.poll()) is not None:
                self.exit_codes[code] += 1
                assert code != MISTAKE, self._last_words()
                self._schedulers[index] = self._start()
        time.sleep(POLL)

    def _last_words(self) -> str:
        return self._said.read_text(errors="replace")[-3000:]

    def _strike(self, kind: str) -> bool:
        """One kill, of one process or of everything; False if there was nothing to kill."""
        alive = processes_of(self._folder)
        everything = [process for processes in alive.values() for process in processes]
        chosen = everything if kind == "everything" else alive[kind]
        if not chosen:
            return False
        if kind == "everything":
            number = signal.SIGKILL  # as when the machine loses its power
        else:
            number, chosen = self._random.choice(SIGNALS[kind]), [self._random.choice(chosen)]
        for process in chosen:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                if len(chosen) == 1:
                    return False
        self.killed[f"{kind} {number.name}"] += 1
        return True


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Kill what still works on a folder when a test ends, however it does."""
    try:
        yield
    finally:
        for processes in processes_of(folder).values():
            for process in processes:
                process.kill()
