"""From decoded pictures to frames of one size: centre crop to the clip's shape, area average."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow3r.errors import DataError
from flow3r.teachers.opencv import require_opencv

Image = NDArray[np.uint8]


def crop_box(
    source: tuple[int, int], size: tuple[int, int], pixel_aspect: float
) -> tuple[int, int, int, int]:
    """The largest centred box (top, left, height, width) of `source` with the shape of `size`.

    Both sizes are (height, width); the pixels of `source` may be other than square.
    """
    height, width = source
    shape = size[1] / size[0] / pixel_aspect  # width / height in source pixels
    box_height = min(height, round(width / shape))
    box_width = min(width, round(height * shape))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


def fit(image: Image, size: tuple[int, int], pixel_aspect: float) -> Image:
    """The centre of `image` [H, W(, 3)] area-averaged to `size` (height, width)."""
    cv2 = require_opencv()
    top, left, height, width = crop_box(image.shape[:2], size, pixel_aspect)
    box = image[top : top + height, left : left + width]
    return cv2.resize(box, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def enlargement(
    source: tuple[int, int], size: tuple[int, int], pixel_aspect: float, short_side: int
) -> int:
    """How many times the clip's size the teacher works at: a whole number k.

    k x the short side of the clip is at least `short_side` where the source has that many pixels;
    the source is never enlarged. Raises DataError if it is smaller than the clip itself.
    """
    _, _, height, width = crop_box(source, size, pixel_aspect)
    if height < size[0] or width < size[1]:
        raise DataError(
            f"smaller than the clips ({source[0]}x{source[1]} px for {size[0]}x{size[1]} px)"
        )
    wanted = -(-short_side // min(size))
    return max(1, min(wanted, height // size[0], width // size[1]))
