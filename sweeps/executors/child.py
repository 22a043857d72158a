"""One child process of a job: started in a session of its own, its output kept in log.txt."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from sweeps.jobs import REPOSITORY, Job


def open_log(job: Job) -> BinaryIO:
    """The log of a job, with a line that says when this attempt began."""
    log = open(job.directory / "log.txt", "ab")  # noqa: SIM115 - the caller closes it
    log.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC {job.label}\n".encode())
    log.flush()
    return log


class Child:
    """A running job. Its output is appended to `<directory>/log.txt`."""

    def __init__(self, job: Job, environment: Mapping[str, str], lock_fd: int) -> None:
        self.log = open_log(job)  # closed in `poll`
        self.process = subprocess.Popen(
            job.command,
            cwd=REPOSITORY,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=self._output(),
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C in the terminal reaches the scheduler only, which then
            # tells the children in its own words.
            start_new_session=True,
            pass_fds=(lock_fd,),
        )

    def _output(self) -> BinaryIO | int:
        return self.log

    def poll(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        code = self.process.poll()
        if code is not None:
            self._close()
        return code

    def terminate(self) -> None:
        """Ask it to checkpoint and stop."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        """Kill it and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _close(self) -> None:
        self.kill()  # what the child left behind would hold the lock and the GPU
        self.log.close()


class EchoingChild(Child):
    """A child whose output goes to log.txt and to the console."""

    def __init__(self, job: Job, environment: Mapping[str, str], lock_fd: int) -> None:
        super().__init__(job, environment, lock_fd)
        self._copier = threading.Thread(target=self._copy, daemon=True)
        self._copier.start()

    def _output(self) -> BinaryIO | int:
        return subprocess.PIPE

    def _copy(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.write(line)
            self.log.flush()
            sys.stdout.write(line.decode(errors="replace"))
            sys.stdout.flush()

    def _close(self) -> None:
        self.kill()
        self._copier.join(timeout=5)
        self.log.close()


def last_line(log: Path) -> str:
    """The last non-empty line of a log (its last 4 KiB), for a reason of one line."""
    if not log.exists():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
