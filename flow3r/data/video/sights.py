"""The frames of a source as the ingest looks at them: one pass, thumbnails only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow3r.data.readers.images import image_size, read_upright_rgb
from flow3r.data.video.config import IngestConfig
from flow3r.data.video.motion import thumbnail_size
from flow3r.data.video.pictures import (
    pixel_aspect,
    quarter_turns,
    square_size,
    to_rgb,
    upright,
)
from flow3r.data.video.reasons import Tally
from flow3r.data.video.sequences import frame_path, sequence_numbers
from flow3r.data.video.shots import Sight
from flow3r.data.video.streams import (
    MAX_PIXELS,
    MIN_DECODED_SHARE,
    declared_seconds,
    opened,
    tolerant_pictures,
)
from flow3r.errors import DataError
from flow3r.teachers.opencv import require_opencv

Beat = Callable[[float], None]
"""Called after every frame with the share of the source that is done (0: unknown)."""


class UntimedError(Exception):
    """Time stamps that are missing or do not rise: the frames must be counted instead."""


def file_sights(
    path: Path, config: IngestConfig, tally: Tally, beat: Beat, *, by_time: bool
) -> Iterator[Sight]:
    """The frames of a video file that can be decoded, in order.

    by_time: take the time stamps, and raise UntimedError where they do not tell frames apart;
    otherwise count frames and take the frame rate. DataError if nothing can be decoded.
    """
    with opened(path) as (container, stream):
        whole = declared_seconds(container, stream)
        clock = _clock(path, stream, by_time=by_time)
        makes = _Sights(config, tally)
        first, last, step = None, 0.0, float(1 / stream.average_rate) if stream.average_rate else 0
        number = -1
        for picture in tolerant_pictures(container, stream):
            if picture is None:
                makes.broken("undecodable", last)
                continue
            number += 1
            seconds = clock(picture, number)
            first = seconds if first is None else first
            if config.max_seconds is not None and seconds - first > config.max_seconds:
                return
            step, last = max(step, seconds - first - last), seconds - first
            beat(min(1.0, last / whole) if whole else 0.0)
            aspect = pixel_aspect(stream, picture)
            yield from makes.sight(number, seconds, last, *thumbnail(picture, aspect), aspect)
        if first is None:
            raise DataError(f"{path}: cannot be decoded as video (no picture)")
        if last + step < MIN_DECODED_SHARE * min(whole, config.max_seconds or whole):
            tally.add("truncated", last, f"of {whole:.2f} s")


def sequence_sights(
    pattern: Path, config: IngestConfig, tally: Tally, beat: Beat
) -> Iterator[Sight]:
    """The pictures of an image sequence in the order of their numbers; missing ones leave holes."""
    makes = _Sights(config, tally)
    numbers = sequence_numbers(pattern)
    seen = False
    for done, number in enumerate(numbers):
        since = (number - numbers[0]) / config.image_rate
        if config.max_seconds is not None and since > config.max_seconds:
            return
        path = frame_path(pattern, number)
        try:
            image = _read_picture(path)
        except DataError:
            makes.broken("undecodable", since, path.name.encode("utf-8", "replace").decode())
            continue
        seen = True
        beat((done + 1) / len(numbers))
        seconds = number / config.image_rate
        yield from makes.sight(number, seconds, since, _shrink(image), *image.shape[:2], 1.0)
    if not seen:
        raise DataError(f"{pattern}: none of {len(numbers)} pictures can be decoded")


def thumbnail(picture: Any, aspect: float) -> tuple[NDArray[np.uint8], int, int]:
    """(upright RGB thumbnail, height, width of the upright picture with square pixels)."""
    turned = quarter_turns(picture) % 2 == 1
    stored = (picture.height, picture.width)
    height, width = square_size(*(stored[::-1] if turned else stored), aspect)
    small = thumbnail_size(height, width)
    return upright(to_rgb(picture, small[::-1] if turned else small), picture), height, width


class _Sights:
    """Joins frames to those before them; leaves out pictures that are too small."""

    def __init__(self, config: IngestConfig, tally: Tally) -> None:
        self.config, self.tally = config, tally
        self.size: tuple[int, int, float] | None = None  # of the frame before, None: nothing joins

    def broken(self, kind: str, since: float, detail: str = "") -> None:
        """Count damage; one place however many frames it has."""
        if self.size is not None or not self.tally.counts[kind]:
            self.tally.add(kind, since, detail)
        self.size = None

    def sight(
        self,
        number: int,
        seconds: float,
        since: float,
        thumbnail: NDArray[np.uint8],
        height: int,
        width: int,
        aspect: float,
    ) -> Iterator[Sight]:
        if min(height, width) < self.config.min_side:
            self.broken("too small", since, f"{width}x{height} px")
            return
        size = (height, width, aspect)
        restart = size != self.size
        self.size = size
        yield Sight(number, seconds, thumbnail, height, width, aspect, restart)


def _clock(path: Path, stream: Any, *, by_time: bool) -> Callable[[Any, int], float]:
    """(picture, its number) -> seconds in the clock of the file."""
    if not by_time:
        if not stream.average_rate:
            raise DataError(f"{path}: neither time stamps nor a frame rate")
        return lambda picture, number: float(number / stream.average_rate)
    last: int | None = None

    def read(picture: Any, number: int) -> float:
        nonlocal last
        if picture.pts is None or (last is not None and picture.pts <= last):
            raise UntimedError(path)
        last = picture.pts
        return float(last * stream.time_base)

    return read


def _read_picture(path: Path) -> NDArray[np.uint8]:
    height, width = image_size(path)
    if height * width > MAX_PIXELS:
        raise DataError(f"{path}: {width}x{height} px, at most {MAX_PIXELS} pixels")
    return read_upright_rgb(path)


def _shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = thumbnail_size(*image.shape[:2])
    return require_opencv().resize(
        image, (width, height), interpolation=require_opencv().INTER_AREA
    )
