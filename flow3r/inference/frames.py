"""Frames for a reconstruction: chosen from a video or a folder, resized as they are read.

Only the chosen frames are kept, at the model's size; one picture at a time is held at full size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow3r.config import require
from flow3r.data.readers.images import EXTENSIONS as IMAGE_EXTENSIONS
from flow3r.data.readers.images import Picture, read_upright_rgb
from flow3r.data.video.files import EXTENSIONS as VIDEO_EXTENSIONS
from flow3r.data.video.streams import decode
from flow3r.errors import DataError
from flow3r.inference.images import find_images, resize
from flow3r.inference.size import SizeRule

DEFAULT_FRAMES = 16


@dataclass(frozen=True)
class FrameSettings:
    """Which frames of the input, and at what size."""

    frames: int | None = None
    """At most this many. Alone: spread evenly from the first to the last frame. With `every`: the
    first ones of those. Neither: 16, spread evenly."""
    every: int | None = None
    """Every k-th frame, from the first one."""
    size: SizeRule = field(default_factory=SizeRule)

    def __post_init__(self) -> None:
        for name in ("frames", "every"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name}={value} must be at least 1")

    def choose(self, total: int) -> list[int]:
        """The numbers of the frames to take out of `total`, rising."""
        if self.every is not None:
            return list(range(0, total, self.every))[: self.frames]
        wanted = min(total, self.frames or DEFAULT_FRAMES)
        if not wanted:
            return []
        return np.linspace(0, total - 1, wanted).round().astype(int).tolist()


@dataclass(frozen=True)
class Frames:
    """N frames of one size."""

    images: NDArray[np.uint8]  # [N, H, W, 3]
    names: tuple[str, ...]
    """File names, or the seconds from a video's first frame."""
    numbers: tuple[int, ...]
    """Positions in the input, from 0."""
    source_size: tuple[int, int]
    """(height, width) of the first frame as it was read."""
    available: int | None
    """Frames in the input; None where a video was read no further than needed."""

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class _Read:
    """A chosen frame at full size."""

    name: str
    number: int
    picture: Picture
    pixel_aspect: float = 1.0


def read_frames(
    source: str | Path,
    settings: FrameSettings,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
) -> Frames:
    """Read a video, a folder of images or one image.

    on_frame(done, total) is called after every frame that was read (total 0: not known yet).
    Raises DataError naming what cannot be read and why.
    """
    path = Path(source)
    if path.is_dir():
        return _from_images(find_images(path), settings, on_frame)
    if not path.is_file():
        raise DataError(f"input={str(source)!r}: no such file or folder")
    extension = path.suffix.lower()
    if extension in IMAGE_EXTENSIONS:
        return _from_images([path], settings, on_frame)
    if extension in VIDEO_EXTENSIONS:
        return _from_video(path, settings, on_frame)
    raise DataError(
        f"input={str(source)!r}: {extension or 'no extension'!r} is neither a video "
        f"{sorted(VIDEO_EXTENSIONS)} nor an image {sorted(IMAGE_EXTENSIONS)}"
    )


def _from_images(
    paths: Sequence[Path], settings: FrameSettings, on_frame: Callable[[int, int], None]
) -> Frames:
    chosen = settings.choose(len(paths))
    read = (_Read(paths[n].name, n, read_upright_rgb(paths[n])) for n in chosen)
    kept, source_size = _collect(read, settings.size, lambda done: on_frame(done, len(chosen)))
    return _stacked(kept, source_size, len(paths))


def _from_video(
    path: Path, settings: FrameSettings, on_frame: Callable[[int, int], None]
) -> Frames:
    """An even spread needs the number of frames, which headers get wrong: the file is decoded
    once to count them and once to read.
    """
    if settings.every is not None:
        limit = settings.frames
        total, expected = None, limit or 0
        read = _take(path, lambda n: n % settings.every == 0, limit)
    else:
        total = sum(1 for _ in decode(path, math.inf))
        chosen = settings.choose(total)
        expected = len(chosen)
        read = _take(path, set(chosen).__contains__, expected)
    kept, source_size = _collect(read, settings.size, lambda done: on_frame(done, expected))
    if not kept:
        raise DataError(f"{path}: no frame can be decoded")
    return _stacked(kept, source_size, total)


def _take(path: Path, wanted: Callable[[int], bool], limit: int | None) -> Iterator[_Read]:
    """The wanted frames of a video, by their number; stops after `limit` of them."""
    count = 0
    for frame in decode(path, math.inf):
        if wanted(frame.index):
            yield _Read(f"{frame.seconds:.3f} s", frame.index, frame.rgb(), frame.pixel_aspect)
            count += 1
            if count == limit:
                return


def _collect(
    read: Iterator[_Read], rule: SizeRule, on_frame: Callable[[int], None]
) -> tuple[list[_Read], tuple[int, int]]:
    """The frames at the size that the first one asks for, and the first one's own size."""
    kept: list[_Read] = []
    size = source_size = (0, 0)
    for item in read:
        height, width = item.picture.shape[:2]
        if not kept:
            source_size = (height, width)
            size = rule.size((height, max(1, round(width * item.pixel_aspect))))
        box = rule.box((height, width), size, item.pixel_aspect)
        kept.append(_Read(item.name, item.number, resize(item.picture, size, box)))
        on_frame(len(kept))
    return kept, source_size


def _stacked(kept: list[_Read], source_size: tuple[int, int], available: int | None) -> Frames:
    return Frames(
        images=np.stack([item.picture for item in kept]),
        names=tuple(item.name for item in kept),
        numbers=tuple(item.number for item in kept),
        source_size=source_size,
        available=available,
    )
