"""Starts and ends the tracker: the one process that writes to MLflow while a sweep runs.

A process of its own because importing MLflow costs seconds of CPU and its calls block; long-lived
because that price is then paid once. The scheduler's end of a pipe is its life line: when the
scheduler closes it or dies, the tracker does a last sync and ends.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

from sweeps.jobs import REPOSITORY

_LAST_SYNC_SECONDS = 300.0


class Tracker:
    """The running tracker; its output goes to `reports/<sweep>/tracking.log`."""

    def __init__(self, output_dir: Path, sweep: str, uri: str | None) -> None:
        self.log = output_dir / "reports" / sweep / "tracking.log"
        script = str(REPOSITORY / "sweeps" / "track.py")
        words = ["sync", f"output_dir={output_dir}", f"sweep={sweep}", "follow=true"]
        if uri is not None:
            words.append(f"tracking_uri={uri}")
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, script, *words],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def finish(self) -> str | None:
        """Wait for the last sync; returns what went wrong, or None."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            code = self._process.wait(_LAST_SYNC_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return f"the tracker did not end in {_LAST_SYNC_SECONDS:.0f} s; see {self.log}"
        return None if code == 0 else f"the tracker failed (exit code {code}); see {self.log}"
