"""Video files: finding them, telling them apart."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from flow3r.errors import DataError

EXTENSIONS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"}
    | {".ts", ".m2ts", ".mts", ".wmv", ".flv", ".ogv", ".3gp", ".y4m"}
)


def find_videos(folder: str | Path) -> list[Path]:
    """The video files below `folder` (or the file itself), sorted; told by their extension.

    Raises DataError if nothing is there. Folders behind symbolic links are not entered.
    """
    root = Path(folder)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise DataError(f"videos={str(root)!r}: no such folder or file")
    found = [
        Path(parent) / name
        for parent, _, names in os.walk(root)
        for name in names
        if Path(name).suffix.lower() in EXTENSIONS
    ]
    if not found:
        raise DataError(f"videos={str(root)!r}: no video file with one of {sorted(EXTENSIONS)}")
    return sorted(found)


def display_name(path: Path, folder: str | Path) -> str:
    """The file's path below the folder, as text that any encoding can hold."""
    root = Path(folder)
    relative = path.relative_to(root) if path != root else Path(path.name)
    return os.fsencode(relative.as_posix()).decode("utf-8", "backslashreplace")


def fingerprint(path: Path) -> str:
    """sha256 over the size and the first and last MiB: cheap, and changes with any re-encoding."""
    size, part = path.stat().st_size, 1 << 20
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        digest.update(file.read(part))
        file.seek(max(0, size - part))
        digest.update(file.read(part))
    return digest.hexdigest()
