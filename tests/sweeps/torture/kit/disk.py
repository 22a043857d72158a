"""A small disk that can be full."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

PAGE = 4096


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of this size at `folder`; PermissionError where nothing may be mounted."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PermissionError(str(error)) from None
    if mounted.returncode:
        raise PermissionError(mounted.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Filler:
    """A file that takes what is free."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "filler"

    def take(self, leave: int) -> None:
        """Leave so many bytes free, or fewer."""
        with open(self._path, "ab", buffering=0) as file:
            while (free := self._free()) > leave:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free - leave)
                except OSError as error:
                    if error.errno != errno.ENOSPC:  # somebody took it in between
                        raise

    def give_back(self) -> None:
        self._path.unlink()

    def _free(self) -> int:
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize
