"""Starts and ends the tracker: the one process that writes to MLflow while a sweep runs.

A process of its own because importing MLflow costs seconds of CPU and its calls block; long-lived
because that price is then paid once. The scheduler's end of a pipe is its life line: when the
scheduler closes it or dies, the tracker does a last sync and ends.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from pathlib import Path

from sweeps.drawing import Undrawn
from sweeps.jobs import REPOSITORY

_DRAWING_SECONDS = 300.0
_LAST_SYNC_SECONDS = 300.0


class Tracker:
    """The running tracker; what it prints goes to `reports/<sweep>/tracking.log`."""

    def __init__(self, output_dir: Path, sweep: str, uri: str | None) -> None:
        self.experiment: str | None = None  # known from the first answer on
        self.log = output_dir / "reports" / sweep / "tracking.log"
        script = str(REPOSITORY / "sweeps" / "track.py")
        words = ["sync", f"output_dir={output_dir}", f"sweep={sweep}", "follow=true"]
        if uri is not None:
            words.append(f"tracking_uri={uri}")
        self._sync = f"python sweeps/track.py {' '.join(w for w in words if w != 'follow=true')}"
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, script, *words],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,  # its answers
                stderr=log,
                start_new_session=True,
            )

    def draw_figures(self) -> list[Undrawn] | None:
        """Have the figures of all finished runs drawn; returns those that could not be.

        None if the tracker does not answer: it died, or is stuck.
        """
        try:
            self._process.stdin.write(b"draw\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        ready, _, _ = select.select([self._process.stdout], [], [], _DRAWING_SECONDS)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            return None
        answer = json.loads(line)
        self.experiment = answer["experiment"]
        return [Undrawn(*found) for found in answer["undrawn"]]

    def finish(self) -> str | None:
        """Wait for the last sync; returns what went wrong, or None."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            code = self._process.wait(_LAST_SYNC_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._behind(f"the tracker did not end in {_LAST_SYNC_SECONDS:.0f} s")
        return None if code == 0 else self._behind(f"the tracker's exit code is {code}")

    def _behind(self, reason: str) -> str:
        return (
            f"MLflow is not up to date ({reason}; see {self.log}); the runs are safe, and "
            f"'{self._sync}' projects them later"
        )
