"""Single frames of a file by their time stamps: seek near them, decode only from there.

What a decoder returns first after a seek may lack its references (open groups of pictures, files
whose index is off). So nothing counts before the first key frame in presentation order, that key
frame must not come after the first wanted frame, and every wanted frame must be met, undamaged.
Where that fails, the seek goes further back, in the end to the beginning of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from flow3r.data.video.pictures import DecodedFrame, pixel_aspect
from flow3r.data.video.streams import opened, require_av, tolerant_pictures
from flow3r.errors import DataError

T = TypeVar("T")
Take = Callable[[DecodedFrame], T]

BACK_SECONDS = (0.0, 2.0, 10.0)
"""Before the first wanted frame, in turn."""


def frames_by_time(path: Path, seconds: Sequence[float], take: Take[T]) -> list[T]:
    """`take(frame)` of the frames with these time stamps (rising, in the clock of the file).

    Raises DataError where one of them is not in the file.
    """
    with opened(path) as (container, stream):
        wanted = [round(s / float(stream.time_base)) for s in seconds]
        for back in BACK_SECONDS:
            start = round((seconds[0] - back) / float(stream.time_base))
            if _seek(container, stream, start):
                found = _collect(container, stream, wanted, take, after_key=True)
                if found is not None:
                    return found
    with opened(path) as (container, stream):
        found = _collect(container, stream, wanted, take, after_key=False)
    if found is None:
        raise _changed(path, f"a frame between {seconds[0]:.3f} s and {seconds[-1]:.3f} s")
    return found


def frames_by_number(path: Path, numbers: Sequence[int], take: Take[T]) -> list[T]:
    """`take(frame)` of these frames (rising) of a file without usable time stamps.

    Decodes from the beginning. Raises DataError where one of them is not in the file.
    """
    found, wanted = [], list(numbers)
    with opened(path) as (container, stream):
        pictures = (p for p in tolerant_pictures(container, stream) if p is not None)
        for index, picture in enumerate(pictures):
            if index == wanted[len(found)]:
                found.append(take(DecodedFrame(index, 0.0, picture, pixel_aspect(stream, picture))))
                if len(found) == len(wanted):
                    return found
    raise _changed(path, f"frame {wanted[len(found)]}")


def successive_frames(path: Path, since: float, count: int, take: Take[T]) -> list[T]:
    """`take(frame)` of successive frames from about `since` seconds after the beginning on.

    Fewer than `count` where the file ends before that or has damaged frames. Decodes only from the
    key frame before; raises DataError for a file that is no video.
    """
    found: list[T] = []
    with opened(path) as (container, stream):
        begin = (stream.start_time or 0) + round(since / float(stream.time_base))
        sound = since <= 0 or not _seek(container, stream, begin)
        for picture in tolerant_pictures(container, stream):
            if picture is None:
                continue
            sound = sound or bool(picture.key_frame)
            early = since > 0 and picture.pts is not None and picture.pts < begin
            if early or not sound:
                continue
            seconds = float((picture.pts or 0) * stream.time_base)
            found.append(take(DecodedFrame(-1, seconds, picture, pixel_aspect(stream, picture))))
            if len(found) == count:
                break
    return found


def _changed(path: Path, what: str) -> DataError:
    return DataError(f"{path}: {what} cannot be found; the file changed since it was looked at")


def _seek(container: Any, stream: Any, start: int) -> bool:
    """Whether the container could go to the key frame at or before `start`."""
    av = require_av()
    try:
        container.seek(start, stream=stream, backward=True)
    except (av.FFmpegError, OSError):
        return False
    return True


def _collect(
    container: Any, stream: Any, wanted: list[int], take: Take[T], *, after_key: bool
) -> list[T] | None:
    """The wanted frames from where the container is; None if one of them is not to be had."""
    found: list[T] = []
    sound = not after_key
    for picture in tolerant_pictures(container, stream):
        if picture is None or picture.pts is None:
            continue
        sound = sound or picture.key_frame
        if picture.pts > wanted[len(found)] or (not sound and picture.pts == wanted[0]):
            return None
        if sound and picture.pts == wanted[len(found)]:
            seconds = float(picture.pts * stream.time_base)
            found.append(take(DecodedFrame(-1, seconds, picture, pixel_aspect(stream, picture))))
            if len(found) == len(wanted):
                return found
    return None
