"""Video files: finding them, telling them apart, decoding their frames in order.

PyAV is imported lazily. Everything that can be wrong with a file becomes a DataError that names
the file and the reason.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow3r.errors import ConfigError, DataError

EXTENSIONS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"}
    | {".ts", ".m2ts", ".mts", ".wmv", ".flv", ".ogv", ".3gp", ".y4m"}
)
MIN_DECODED_SHARE = 0.9
"""Below this share of the time that the header declares, a file counts as truncated. Frame counts
would not do: headers count the empty frames of a slow recording, decoders do not return them."""


@dataclass(frozen=True)
class DecodedFrame:
    """One frame as it is meant to be shown, not yet converted to RGB."""

    index: int
    """Its number in decoding order, from 0."""
    seconds: float
    """Presentation time from the first frame."""
    picture: Any
    """The PyAV frame."""
    pixel_aspect: float
    """Width over height of one pixel of the upright image."""

    def rgb(self) -> NDArray[np.uint8]:
        """The upright RGB image [H, W, 3]."""
        return _upright(self.picture.to_ndarray(format="rgb24"), self.picture)

    def luma(self) -> NDArray[np.uint8]:
        """The upright grey image [H, W]; cheaper than `rgb`."""
        return _upright(self.picture.to_ndarray(format="gray"), self.picture)


def require_av() -> ModuleType:
    """The av module, imported only now. Raises ConfigError saying what to install."""
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            f"video input needs PyAV, which cannot be imported ({error}); "
            "install it with: pip install av"
        ) from error
    return av


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


def folder_fingerprint(folder: str | Path) -> str:
    """16 hexadecimal digits of the names and contents of the folder's videos, not of its path."""
    digest = hashlib.sha256()
    for path in find_videos(folder):
        digest.update(f"{display_name(path, folder)}\0{fingerprint(path)}\n".encode())
    return digest.hexdigest()[:16]


def decode(path: Path, max_seconds: float) -> Iterator[DecodedFrame]:
    """The frames of the first video stream in order, up to `max_seconds` after the first one.

    Raises DataError naming the file for whatever cannot be decoded, for a file without video, and
    for one that ends well before the length its header declares.
    """
    av = require_av()
    _check_readable(path)
    try:
        with av.open(str(path)) as container:
            yield from _decode_stream(path, container, max_seconds)
    except (av.FFmpegError, OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be decoded as video ({reason})") from error


def _check_readable(path: Path) -> None:
    # A named pipe or a device would block the open for ever.
    if not path.is_file():
        raise DataError(f"{path}: not a regular file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: empty file")


def _decode_stream(path: Path, container: Any, max_seconds: float) -> Iterator[DecodedFrame]:
    streams = [s for s in container.streams.video if not _is_cover(s)]
    if not streams:
        raise DataError(f"{path}: no video stream")
    stream = streams[0]
    # Runs share the machine's cores; a decoder with a thread per core would take them all.
    stream.codec_context.thread_count = 1
    period = 1 / stream.average_rate if stream.average_rate else None
    start, last, longest_interval = None, 0.0, float(period or 0)
    for index, picture in enumerate(container.decode(stream)):
        time = _seconds(path, picture, index, period)
        start = time if start is None else start
        if time - start > max_seconds:
            return
        longest_interval = max(longest_interval, time - start - last)
        last = time - start
        yield DecodedFrame(index, last, picture, _pixel_aspect(stream, picture))
    declared = _declared_seconds(container, stream)
    if last + longest_interval < MIN_DECODED_SHARE * declared:
        raise DataError(f"{path}: truncated ({last:.2f} s of {declared:.2f} s can be decoded)")


def _declared_seconds(container: Any, stream: Any) -> float:
    """What the header says, 0 where it says nothing about the video itself."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1 and container.duration is not None
    return container.duration / 1e6 if alone else 0.0


def _seconds(path: Path, picture: Any, index: int, period: Fraction | None) -> float:
    if picture.time is not None:
        return float(picture.time)
    if period is None:
        raise DataError(f"{path}: neither time stamps nor a frame rate")
    return float(index * period)


def _is_cover(stream: Any) -> bool:
    """Whether the stream is the cover picture of an audio file."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _quarter_turns(picture: Any) -> int:
    """Counter-clockwise quarter turns that make the decoded picture upright."""
    return round(getattr(picture, "rotation", 0) / 90) % 4


def _upright(image: NDArray[np.uint8], picture: Any) -> NDArray[np.uint8]:
    turns = _quarter_turns(picture)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _pixel_aspect(stream: Any, picture: Any) -> float:
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    return 1 / aspect if _quarter_turns(picture) % 2 else aspect
