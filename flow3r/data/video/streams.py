"""Video streams: opening a file, decoding its frames in order.

PyAV is imported lazily. Everything that can be wrong with a file becomes a DataError that names
the file and the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from flow3r.data.video.pictures import DecodedFrame, pixel_aspect
from flow3r.errors import ConfigError, DataError

MIN_DECODED_SHARE = 0.9
"""Below this share of the time that the header declares, a file counts as truncated. Frame counts
would not do: headers count the empty frames of a slow recording, decoders do not return them."""
MAX_PIXELS = 1 << 26
"""Per picture (8192 x 8192). A damaged header can ask for any amount of memory."""


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


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """(container, first video stream) of a file, set up to decode on one thread.

    Raises DataError naming the file for one that is no video, and for whatever goes wrong in the
    decoder inside the block.
    """
    av = require_av()
    check_readable(path)
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = _video_stream(path, container)
            # Runs share the machine's cores; a decoder with a thread per core would take them all.
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            yield container, stream
    except (av.FFmpegError, OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be decoded as video ({reason})") from error


def decode(path: Path, max_seconds: float) -> Iterator[DecodedFrame]:
    """The frames of the first video stream in order, up to `max_seconds` after the first one.

    Strict: raises DataError naming the file for whatever cannot be decoded, for a file without
    video, and for one that ends well before the length its header declares.
    """
    with opened(path) as (container, stream):
        period = 1 / stream.average_rate if stream.average_rate else None
        start, last, longest_interval = None, 0.0, float(period or 0)
        for index, picture in enumerate(container.decode(stream)):
            time = _seconds(path, picture, index, period)
            start = time if start is None else start
            if time - start > max_seconds:
                return
            longest_interval = max(longest_interval, time - start - last)
            last = time - start
            yield DecodedFrame(index, last, picture, pixel_aspect(stream, picture))
        declared = declared_seconds(container, stream)
        if last + longest_interval < MIN_DECODED_SHARE * declared:
            raise DataError(f"{path}: truncated ({last:.2f} s of {declared:.2f} s can be decoded)")


def check_readable(path: Path) -> None:
    """DataError unless it is a regular file with content: opening a pipe would block for ever."""
    if not path.is_file():
        raise DataError(f"{path}: not a regular file")
    try:
        with open(path, "rb") as file:
            beginning = file.read(1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not beginning:
        raise DataError(f"{path}: empty file")


def declared_seconds(container: Any, stream: Any) -> float:
    """What the header says, 0 where it says nothing about the video itself."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1 and container.duration is not None
    return container.duration / 1e6 if alone else 0.0


def length_and_rate(path: Path) -> tuple[float, float]:
    """What the header says: seconds and frames per second, 0 where it says nothing. DataError."""
    with opened(path) as (container, stream):
        return declared_seconds(container, stream), float(stream.average_rate or 0)


def _video_stream(path: Path, container: Any) -> Any:
    streams = [s for s in container.streams.video if not _is_cover(s)]
    if not streams:
        raise DataError(f"{path}: no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise DataError(f"{path}: cannot be decoded as video (unknown codec)")
    pixels = stream.codec_context.width * stream.codec_context.height
    if pixels > MAX_PIXELS:
        size = f"{stream.codec_context.width}x{stream.codec_context.height}"
        raise DataError(f"{path}: pictures too large ({size} px, at most {MAX_PIXELS} pixels)")
    return stream


def _seconds(path: Path, picture: Any, index: int, period: Fraction | None) -> float:
    if picture.time is not None:
        return float(picture.time)
    if period is None:
        raise DataError(f"{path}: neither time stamps nor a frame rate")
    return float(index * period)


def _is_cover(stream: Any) -> bool:
    """Whether the stream is the cover picture of an audio file."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def tolerant_pictures(container: Any, stream: Any) -> Iterator[Any]:
    """The pictures in order, None where packets cannot be decoded or a picture is damaged.

    What the container itself cannot read ends it. The order is the same in every pass over a file.
    """
    av = require_av()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            yield None
            return
        if packet is None:
            return
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            yield None
            continue
        for picture in pictures:
            yield None if picture.is_corrupt else picture
