"""A decoded frame as it is meant to be shown: upright, in RGB, with the shape of its pixels.

Interlaced pictures stay as they are: both fields in one picture, combs where something moves. HDR
pictures get the matrix of their colour space, no tone mapping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HD_LINES = 720
"""Pictures of unspecified colour space: BT.709 from this height on, BT.601 below, as players do."""
UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
SWS_BT709, SWS_BT601 = 1, 5
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
ACCURATE = 0x02 | 0x40000 | 0x80000
"""swscale's bilinear, accurate rounding, bit exact: the same numbers on every processor."""


@dataclass(frozen=True)
class DecodedFrame:
    """One frame of a file, not yet converted to RGB."""

    index: int
    """Its number in decoding order, from 0; -1 after a seek, where it is not known."""
    seconds: float
    """Presentation time: from the first frame in `decode`, else in the clock of the file."""
    picture: Any
    """The PyAV frame."""
    pixel_aspect: float
    """Width over height of one pixel of the upright image."""

    def rgb(self) -> NDArray[np.uint8]:
        """The upright RGB image [H, W, 3], full range."""
        return upright(to_rgb(self.picture), self.picture)


def to_rgb(picture: Any, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The picture as decoded (not turned) in full-range RGB, at `size` (height, width) if given."""
    height, width = size or (picture.height, picture.width)
    matrix = None
    if picture.colorspace == UNSPECIFIED:
        matrix = SWS_BT709 if picture.height >= HD_LINES else SWS_BT601
    return picture.to_ndarray(
        format="rgb24",
        height=height,
        width=width,
        src_colorspace=matrix,
        dst_color_range=FULL_RANGE,
        interpolation=ACCURATE,
        threads=1,
    )


def quarter_turns(picture: Any) -> int:
    """Counter-clockwise quarter turns that make the decoded picture upright."""
    return round(getattr(picture, "rotation", 0) / 90) % 4


def upright(image: NDArray[np.uint8], picture: Any) -> NDArray[np.uint8]:
    """The image turned as the file's display matrix says; mirrored ones are not mirrored back."""
    turns = quarter_turns(picture)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def pixel_aspect(stream: Any, picture: Any) -> float:
    """Width over height of one pixel of the upright picture; 1 where the file does not say."""
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    return 1 / aspect if quarter_turns(picture) % 2 else aspect


def square_size(height: int, width: int, aspect: float) -> tuple[int, int]:
    """(height, width) of an upright picture with square pixels, enlarged in neither direction."""
    if aspect >= 1:
        return max(1, round(height / aspect)), width
    return height, max(1, round(width * aspect))
