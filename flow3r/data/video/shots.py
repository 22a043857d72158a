"""Shot cuts in a stream of thumbnails.

The rule of PySceneDetect's adaptive detector, which cannot be installed beside a headless OpenCV:
a frame begins a shot if its content differs from the frame before by at least `content`, and
`ratio` times more than the average of the two frames before and the two after it do. Fast camera
motion changes all of these frames alike and is no cut. Fades and dissolves are none either; clips
across them fall to the test of overlap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow3r.teachers.opencv import require_opencv

REACH = 2
"""Frames on either side that a change is compared with."""
NO_CHANGE = 1e-5


@dataclass(frozen=True)
class Sight:
    """One frame of a source as the ingest sees it."""

    number: int
    seconds: float  # in the clock of the file
    thumbnail: NDArray[np.uint8]  # [h, w, 3] RGB, the whole upright picture
    height: int  # of the upright picture with square pixels
    width: int
    pixel_aspect: float
    restart: bool
    """Nothing joins it to the frame before: the first one, after damage, or of another size."""


@dataclass
class _Scored:
    sight: Sight
    change: float  # from the frame before; 0 at a restart


def content_change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Mean absolute difference of hue, saturation and value of two RGB pictures (OpenCV's 8 bits).

    The `content_val` of PySceneDetect with its default weights.
    """
    cv2 = require_opencv()
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2HSV) for image in (before, after))
    return float(cv2.absdiff(first, second).mean())


def with_cuts(
    sights: Iterable[Sight], ratio: float, content: float
) -> Iterator[tuple[Sight, bool]]:
    """Every frame and whether a shot begins with it; two frames late, not more than five held."""
    window: deque[_Scored] = deque()
    judged = 0  # frames of the window that were handed on
    before: Sight | None = None
    for sight in sights:
        if sight.restart or before is None:
            yield from _judge(window, judged, len(window), ratio, content)
            window.clear()
            judged = 0
            window.append(_Scored(sight, 0.0))
        else:
            window.append(_Scored(sight, content_change(before.thumbnail, sight.thumbnail)))
        before = sight
        ready = max(judged, len(window) - REACH)
        yield from _judge(window, judged, ready, ratio, content)
        judged = ready
        while judged > REACH:
            window.popleft()
            judged -= 1
    yield from _judge(window, judged, len(window), ratio, content)


def _judge(
    window: deque[_Scored], start: int, stop: int, ratio: float, content: float
) -> Iterator[tuple[Sight, bool]]:
    for i in range(start, stop):
        scored = window[i]
        near = range(max(0, i - REACH), min(len(window), i + REACH + 1))
        around = [window[j].change for j in near if j != i and not window[j].sight.restart]
        usual = max(NO_CHANGE, sum(around) / len(around)) if around else NO_CHANGE
        cut = scored.change >= content and scored.change >= ratio * usual
        yield scored.sight, scored.sight.restart or cut
