"""Exclusive locks on files: who may work on a run directory, migrate a database, and so on.

The kernel drops a `flock` when the last process holding the open file ends, so a lock of a killed
process needs no cleaning up and no guess about process ids. A scheduler hands its open file to the
child it starts: the directory stays locked for as long as either of the two lives, also when the
scheduler alone is killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

LOCK_NAME = ".lock"


class FileLock:
    """A held lock. `fd` may be handed to one child process (`pass_fds`)."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def release(self) -> None:
        """Give up this process's share; closing only, as unlocking would also unlock the child."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def try_lock(path: Path) -> FileLock | None:
    """Take the lock, or return None at once where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    # For a person who wonders who holds it; nothing reads it, so a full disk may go without.
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.write(fd, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode())
    return FileLock(path, fd)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock now; never creates the file."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return True
        raise
    finally:
        os.close(fd)
    return False


@contextlib.contextmanager
def locked(path: Path, timeout: float = 300.0) -> Iterator[None]:
    """Wait for the lock and hold it for the block; TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (lock := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path}: still locked by another process after {timeout:.0f} s")
        time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()
