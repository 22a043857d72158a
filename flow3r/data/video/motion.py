"""How much a clip moves, measured on thumbnails of the whole picture."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from flow3r.teachers.consistency import pixel_centres
from flow3r.teachers.dis import DisConfig, DisTeacher

SHORT_SIDE = 64
LONG_SIDE = 256
_SCOUT = DisTeacher(DisConfig(patch_stride=4, gradient_steps=16, variational_iterations=5))
"""A fast DIS: motion is judged here, not labelled."""


def thumbnail_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) with a short side of 64 pixels, less for small and for very long pictures."""
    scale = min(1.0, SHORT_SIDE / min(height, width), LONG_SIDE / max(height, width))
    return max(16, round(height * scale)), max(16, round(width * scale))


def motion_and_overlap(grey: NDArray[np.uint8], quantile: float) -> tuple[float, float]:
    """Of the frames [N, h, w] of a clip.

    Motion: how far the pixels of the first frame have gone in the last one, a quantile over those
    that were found again at all, as a share of the short side. Overlap: the share of pixels that
    are found again (forward-backward check) from a frame to the next, the least of all steps.
    """
    images = torch.from_numpy(grey)[:, None].expand(-1, 3, -1, -1)
    last = len(grey) - 1
    pairs = torch.tensor([[0, last], *[[i, i + 1] for i in range(last)]])
    labels = _SCOUT.label(images, pairs)
    height, width = grey.shape[1:]
    moved = labels.target_px[0].numpy() - pixel_centres(height, width)
    length = np.linalg.norm(moved, axis=-1)
    motion = float(np.quantile(length, quantile)) / min(height, width)
    return motion, float(labels.covisibility[1:].mean((1, 2)).min())
