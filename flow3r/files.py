"""Atomic writing of files and folders, so that a reader never meets half a file."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_UNFINISHED = ".unfinished"
_STILL_WRITTEN = 60.0  # seconds


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` on a temporary sibling of `path`, flush it to disk, rename it into place.

    Raises OSError, which names `path`; what was there before is then still there.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(_UNFINISHED, f".{path.name}.", path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Delete what killed processes left of atomic writes in a folder and below it.

    What was touched within the last minute stays: a living process may be writing it.
    """
    for leftover in folder.rglob(f".*{_UNFINISHED}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _STILL_WRITTEN:
                leftover.unlink()


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an OSError of the block name `path`: a failed write says neither which file it was, nor
    does a temporary name help anybody.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(_UNFINISHED):
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (UTF-8)."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; NaN and infinity are refused (JSON has neither)."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
