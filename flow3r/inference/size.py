"""The size that frames are brought to before the model sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flow3r.config import require, require_choice
from flow3r.data.video.frames import crop_box

DEMO_PIXELS = 255_000
"""Pixel limit of the released demo: 574 x 434 for a 4:3 image and patches of 14."""
FITS = ("stretch", "crop")


@dataclass(frozen=True)
class SizeRule:
    """As in the released demo by default.

    Frames come near `max_pixels` pixels (small ones are enlarged), with sides that are multiples
    of the patch size, in `shape` as nearly as those allow.
    """

    max_pixels: int = DEMO_PIXELS
    patch_size: int = 14
    fit: str = "stretch"
    """What happens to the rest of the shape: `stretch` squeezes it in (released demo), `crop` cuts
    a centred box first, as the clips of a study are cut. With patches of 8 at 64 x 32 pixels a 16:9
    frame is squeezed by an eighth, with those of the demo by a hundredth."""
    shape: tuple[int, int] | None = None
    """Only the ratio of (height, width) counts. None: that of the first frame (released demo). A
    model that was trained on one shape alone predicts that shape's field of view for any other:
    squares only at 56 x 40 pixels gave focal lengths in x and y that differ by a quarter."""

    def __post_init__(self) -> None:
        require(self.patch_size >= 1, f"patch_size={self.patch_size} must be at least 1")
        least = self.patch_size**2
        require(
            self.max_pixels >= least,
            f"max_pixels={self.max_pixels} is less than one patch ({least} pixels)",
        )
        require_choice("fit", self.fit, FITS)
        require(self.shape is None or min(self.shape) >= 1, f"shape={self.shape} must be positive")

    def size(self, source: tuple[int, int]) -> tuple[int, int]:
        """(height, width) for frames of the size `source` (height, width), in square pixels."""
        height, width = self.shape or source
        patches = self.max_pixels / self.patch_size**2
        rows = max(1, round(math.sqrt(patches * height / width)))
        columns = max(1, round(math.sqrt(patches * width / height)))
        while rows * columns > patches:
            # One patch less on the side that is too long for the shape.
            if rows == 1 or (columns > 1 and columns * height > rows * width):
                columns -= 1
            else:
                rows -= 1
        return rows * self.patch_size, columns * self.patch_size

    def box(
        self, source: tuple[int, int], size: tuple[int, int], pixel_aspect: float
    ) -> tuple[int, int, int, int]:
        """The part (left, top, right, bottom) of a `source` picture that becomes `size`."""
        if self.fit == "stretch":
            return 0, 0, source[1], source[0]
        top, left, height, width = crop_box(source, size, pixel_aspect)
        return left, top, left + width, top + height
