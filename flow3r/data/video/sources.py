"""The videos of a folder: files and image sequences, and what tells them apart."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow3r.data.video.files import EXTENSIONS, display_name, fingerprint
from flow3r.data.video.reasons import Skipped
from flow3r.data.video.sequences import EXTENSIONS as IMAGE_EXTENSIONS
from flow3r.data.video.sequences import find_sequences, frame_path, sequence_numbers
from flow3r.errors import DataError

READ_FRAMES = 16
"""Of an image sequence so many pictures are part of its fingerprint, beside all names and sizes."""


@dataclass(frozen=True)
class Source:
    """A video file or an image sequence."""

    name: str
    """Below the folder, as text that any encoding can hold."""
    path: Path
    """The file, or `<folder>/<pattern>` (see `sequences.py`)."""
    kind: str
    """file or sequence."""
    size: int
    """Bytes."""
    stamp: str
    """Changes when the file system says that it was written to; no content is read for it."""

    def fingerprint(self) -> str:
        """Of the content, 64 hexadecimal digits. OSError where it cannot be read."""
        return fingerprint(self.path) if self.kind == "file" else _sequence_mark(self.path)


def find_sources(
    folder: str | Path, leave_out: Path | None = None
) -> tuple[list[Source], list[Skipped]]:
    """All videos below `folder` (or the file itself) by name, and what else is there.

    Nothing is opened. Links to folders are not followed, `leave_out` is not entered. Raises
    DataError if the folder does not exist or holds nothing that could be a video.
    """
    root = Path(folder)
    if root.is_file():
        return [_file_source(root, display_name(root, root), root.stat())], []
    if not root.is_dir():
        raise DataError(f"videos={str(root)!r}: no such folder or file")
    search = _Search(root, leave_out)
    search.run()
    if not search.sources:
        raise DataError(
            f"videos={str(root)!r}: no video file with one of {sorted(EXTENSIONS)} and no image "
            f"sequence with one of {sorted(IMAGE_EXTENSIONS)}"
        )
    return sorted(search.sources, key=lambda s: s.name), sorted(
        search.skipped, key=lambda s: s.path
    )


def folder_content(folder: str | Path) -> str:
    """16 hexadecimal digits of the names and contents of the folder's videos, not of its path."""
    digest = hashlib.sha256()
    for source in find_sources(folder)[0]:
        try:
            mark = source.fingerprint()
        except OSError:
            mark = "unreadable"
        digest.update(f"{source.name}\0{mark}\n".encode())
    return digest.hexdigest()[:16]


class _Search:
    """A walk through a folder."""

    def __init__(self, root: Path, leave_out: Path | None) -> None:
        self.root = root
        self.leave_out = leave_out.resolve() if leave_out else None
        self.sources: list[Source] = []
        self.skipped: list[Skipped] = []

    def run(self) -> None:
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError as error:
                self._skip(folder, f"folder that cannot be read ({error.strerror})")
                continue
            pictures = {}
            for entry in entries:
                path = folder / entry.name
                try:
                    found = entry.stat()
                except OSError:
                    self._skip(path, "broken link")
                    continue
                if stat.S_ISDIR(found.st_mode):
                    if self._enter(path, entry):
                        waiting.append(path)
                elif self._regular(path, found) and path.suffix.lower() in IMAGE_EXTENSIONS:
                    pictures[entry.name] = found
            self._add_sequences(folder, pictures)

    def _enter(self, path: Path, entry: os.DirEntry) -> bool:
        if entry.is_symlink():
            self._skip(path, "link to a folder (not followed)")
            return False
        if path.suffix.lower() in EXTENSIONS:
            self._skip(path, "folder with the name of a video (its content is looked at)")
        if entry.name.startswith("."):
            self._skip(path, "hidden")
            return False
        return path.resolve() != self.leave_out

    def _regular(self, path: Path, found: os.stat_result) -> bool:
        """Whether it is a file that may be a picture; video files are added."""
        extension = path.suffix.lower()
        if path.name.startswith("."):
            self._skip(path, "hidden")
        elif not stat.S_ISREG(found.st_mode):
            self._skip(path, "not a regular file")
        elif extension in EXTENSIONS:
            self.sources.append(_file_source(path, display_name(path, self.root), found))
        elif extension in IMAGE_EXTENSIONS:
            return True
        else:
            self._skip(path, f"not a video ({extension or 'no extension'!r})")
        return False

    def _add_sequences(self, folder: Path, pictures: dict[str, os.stat_result]) -> None:
        sequences, single = find_sequences(pictures)
        for sequence in sequences:
            pattern = folder / sequence.pattern
            paths = [frame_path(pattern, number) for number in sequence.numbers]
            if len(paths) == 1:
                single.append(paths[0].name)
                continue
            digest, size = hashlib.sha256(), 0
            for path in paths:
                found = pictures[path.name]
                size += found.st_size
                digest.update(f"{found.st_size} {found.st_mtime_ns} ".encode())
                digest.update(os.fsencode(path.name))
            name = display_name(pattern, self.root)
            self.sources.append(Source(name, pattern, "sequence", size, digest.hexdigest()))
        for name in single:
            self._skip(folder / name, "single picture")

    def _skip(self, path: Path, reason: str) -> None:
        self.skipped.append(Skipped(display_name(path, self.root), reason))


def _file_source(path: Path, name: str, found: os.stat_result) -> Source:
    stamp = f"{found.st_size} {found.st_mtime_ns}"
    return Source(name, path, "file", found.st_size, stamp)


def _sequence_mark(pattern: Path) -> str:
    """sha256 over the names and sizes of all pictures and the content of a few."""
    paths = [frame_path(pattern, number) for number in sequence_numbers(pattern)]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.stat().st_size} ".encode() + os.fsencode(path.name) + b"\\0")
    chosen = np.linspace(0, len(paths) - 1, min(READ_FRAMES, len(paths))).round().astype(int)
    for i in chosen.tolist():
        digest.update(hashlib.sha256(paths[i].read_bytes()).digest())
    return digest.hexdigest()
