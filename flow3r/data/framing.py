"""Cropping and resizing a frame: picture, depth and calibration together.

A window is a part of the picture in pixels from its upper left border (the centre of the first
pixel lies at 0.5, 0.5 there); its sides may be fractions. Every function maps the window onto a
picture of `size` (height, width), border to border: x' + 0.5 = (x + 0.5 - left) W' / width, the
half-pixel convention of `flow3r.geometry.camera`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from flow3r.config import require
from flow3r.data.readers.images import require_pillow
from flow3r.geometry.camera import resize_intrinsics

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True)
class Window:
    """A part of a picture."""

    top: float
    left: float
    height: float
    width: float


def largest_window(
    source: Size, size: Size, centre: tuple[float, float] | None = None, share: float = 1.0
) -> Window:
    """The largest window of a `source` picture with the shape of `size`, times `share` in (0, 1].

    `centre`: (x, y) in pixel coordinates, by default the picture's; the window lies symmetrically
    about it, so that a principal point given here ends up in the middle, where `recover_intrinsics`
    expects it. Raises ConfigError for a centre outside the picture.
    """
    height, width = source
    x, y = ((width - 1) / 2, (height - 1) / 2) if centre is None else centre
    across, up = 2 * min(x + 0.5, width - x - 0.5), 2 * min(y + 0.5, height - y - 0.5)
    require(across > 0 and up > 0, f"centre={(x, y)} lies outside a {width} x {height} picture")
    scale = share * min(across / size[1], up / size[0])
    tall, wide = scale * size[0], scale * size[1]
    return Window(y + 0.5 - tall / 2, x + 0.5 - wide / 2, tall, wide)


def framed_image(image: np.ndarray, window: Window, size: Size) -> np.ndarray:
    """The window of a picture uint8 [H, W, 3] at `size`: Lanczos, smoothed where it shrinks."""
    pillow = require_pillow()
    height, width = image.shape[:2]
    box = (
        max(window.left, 0.0),
        max(window.top, 0.0),
        min(window.left + window.width, width),
        min(window.top + window.height, height),
    )
    picture = pillow.fromarray(image)
    return np.asarray(picture.resize((size[1], size[0]), pillow.Resampling.LANCZOS, box=box))


def framed_depth(depth: np.ndarray, image_size: Size, window: Window, size: Size) -> np.ndarray:
    """The window of a depth map float32 [h, w] at `size`.

    The window is in pixels of the image of `image_size`, to which the map belongs at whatever
    resolution. Every pixel takes the nearest one of the map: no value is mixed with another, least
    of all with 0.
    """
    rows = _nearest(depth.shape[0] / image_size[0], window.top, window.height, size[0])
    columns = _nearest(depth.shape[1] / image_size[1], window.left, window.width, size[1])
    rows, columns = rows.clip(0, depth.shape[0] - 1), columns.clip(0, depth.shape[1] - 1)
    return depth[rows[:, None], columns]


def framed_intrinsics(intrinsics: np.ndarray, window: Window, size: Size) -> np.ndarray:
    """The calibration float64 [3, 3] of the window at `size`."""
    moved = np.array(intrinsics, dtype=np.float64)
    moved[:2, 2] -= (window.left, window.top)
    return resize_intrinsics(torch.from_numpy(moved), (window.height, window.width), size).numpy()


def _nearest(scale: float, start: float, length: float, count: int) -> np.ndarray:
    """[count] pixels of an axis that `scale` shrinks, nearest to the centres of the new ones."""
    borders = (start + (np.arange(count) + 0.5) * (length / count)) * scale
    return np.floor(borders).astype(np.int64)


def bucket_sizes(
    pixels: tuple[int, int], multiple: int, aspect: tuple[float, float] = (0.5, 2.0)
) -> tuple[Size, ...]:
    """All sizes whose sides are multiples, with so many pixels and so wide for their height.

    pi3's second stage: pixels (100_000, 255_000), multiples of 14, width / height 0.5 to 2.
    """
    require(multiple >= 1, f"multiple={multiple} must be at least 1")
    longest = math.isqrt(int(pixels[1] * max(aspect[1], 1 / aspect[0])))
    sides = range(multiple, longest + 1, multiple)
    sizes = tuple(
        (h, w)
        for h in sides
        for w in sides
        if pixels[0] <= h * w <= pixels[1] and aspect[0] <= w / h <= aspect[1]
    )
    require(bool(sizes), f"no size with {pixels} pixels, sides of n x {multiple}, aspect {aspect}")
    return sizes


def nearest_bucket(source: Size, buckets: tuple[Size, ...]) -> Size:
    """The bucket that loses least of a `source` picture to cropping; of equal ones the largest."""

    def kept(size: Size) -> tuple[float, int]:
        window = largest_window(source, size)
        return round(window.height * window.width / (source[0] * source[1]), 9), size[0] * size[1]

    return max(buckets, key=kept)
