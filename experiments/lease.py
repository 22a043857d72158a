"""Leases: who works in a run directory, on any host that shares its file system.

A `flock` (`flow3r.locks`) tells processes of one machine apart, also when a scheduler is killed and
its child works on; between machines many file systems ignore it. A lease is a file that machines
agree on by the two things every shared file system does: creating a file exclusively, and keeping
the time of its last change by one clock.

- The newest of `.lease-000001`, `.lease-000002`, ... counts. Whoever may take over creates the next
  number exclusively, so that one of several takers wins; then removes the older ones. A taker who
  was asleep meanwhile and finds a newer one beside its own has lost.
- The scheduler and, once it works, the child touch the file. A lease untouched for STALE_SECONDS,
  by the clock of the file system, may be taken over; so may at once one of this machine, because
  its flock, which the taker holds, was free: scheduler and child are gone.
- A lease is given back by setting its time to zero; the file stays, so that numbers only grow.
- A holder that finds its lease superseded was cut off for longer than that: it stops at once and
  writes nothing more.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from experiments.exit_codes import INTERRUPTED
from flow3r.files import naming

RENEW_SECONDS = 10.0
STALE_SECONDS = 120.0
VARIABLE = "FLOW3R_LEASE"
"""Environment variable with the path of the lease that a child is to renew."""


class Lease:
    """A held lease."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def renew(self) -> bool:
        """Touch it; False where another process has taken over."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return False
        return _newest(self.path.parent) == self.path

    def release(self) -> None:
        """Give it back."""
        with contextlib.suppress(FileNotFoundError):  # taken over: nothing of ours is left
            os.utime(self.path, (0, 0))


def acquire(directory: Path, witness: Path) -> Lease | None:
    """Take the directory's lease; None where another process holds it.

    The caller holds the directory's flock. `witness`: a file in it that may be touched, to read the
    file system's clock.
    """
    newest = _newest(directory)
    if newest is not None and not _is_free(newest, witness):
        return None
    mine = directory / f".lease-{_number(newest) + 1:06d}"
    try:
        file = os.open(mine, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return None
    try:
        with naming(mine):
            os.write(file, json.dumps({"machine": machine(), "pid": os.getpid()}).encode())
    except OSError:  # a full disk; without a holder nobody could take it over at once
        mine.unlink()
        raise
    finally:
        os.close(file)
    if _newest(directory) != mine:
        mine.unlink(missing_ok=True)
        return None
    for older in _leases(directory)[:-1]:
        older.unlink(missing_ok=True)
    return Lease(mine)


@contextlib.contextmanager
def renewing(path: str | None) -> Iterator[None]:
    """Renew the lease at `path` (None: there is none) from a thread while the block runs.

    The process ends where the lease was taken over.
    """
    if path is None:
        yield
        return
    lease, over = Lease(Path(path)), threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_SECONDS):
            if not lease.renew():
                print(f"{path}: another process has taken over", flush=True)
                os._exit(INTERRUPTED)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@cache
def machine() -> str:
    """This machine, until it is started anew."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text().strip() if boot.exists() else ''}"


def _is_free(lease: Path, witness: Path) -> bool:
    try:
        touched, holder = lease.stat().st_mtime, lease.read_text()
        os.utime(witness)
        age = witness.stat().st_mtime - touched
    except FileNotFoundError:  # superseded this very moment
        return False
    if age > STALE_SECONDS:
        return True
    # An empty file: its maker has not written yet, or died of it.
    return bool(holder) and json.loads(holder)["machine"] == machine()


def _newest(directory: Path) -> Path | None:
    return max(_leases(directory), default=None)


def _leases(directory: Path) -> list[Path]:
    return sorted(directory.glob(".lease-*"))


def _number(lease: Path | None) -> int:
    return 0 if lease is None else int(lease.name.rpartition("-")[2])
