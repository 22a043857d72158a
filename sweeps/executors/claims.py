"""The right to work in a job's directory: its lock on this machine and its lease on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.lease import Lease, acquire
from flow3r.locks import LOCK_NAME, FileLock, try_lock


@dataclass(frozen=True)
class Claim:
    """A claimed directory. The child inherits `lock.fd` and renews `lease.path`, too."""

    lock: FileLock
    lease: Lease

    def release(self) -> None:
        """Give the directory back."""
        self.lease.release()
        self.lock.release()


def claim(directory: Path) -> Claim | None:
    """Claim a directory, made if need be; None where others work there, on whatever machine."""
    lock = try_lock(directory / LOCK_NAME)
    if lock is None:
        return None
    lease = None
    try:
        lease = acquire(directory, witness=lock.path)
    finally:
        if lease is None:
            lock.release()
    return None if lease is None else Claim(lock, lease)
