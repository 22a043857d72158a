"""Figures as small PNG files: a palette of 256 colours takes a third of the space."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from flow3r.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = 256
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BAYER = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16
_INDEXED = 3  # colour type of the PNG specification: 8-bit indices into a palette


def write_png(path: Path, figure: Figure, resolution: int) -> None:
    """Draw a figure at `resolution` dots per inch and write it atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(resolution)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    data = indexed_png(np.asarray(canvas.buffer_rgba())[..., :3])
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def indexed_png(image: np.ndarray) -> bytes:
    """A PNG of uint8 RGB [H, W, 3] with at most `PALETTE` colours."""
    height, width = image.shape[:2]
    packed = image.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    unique, place, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colours = np.stack([unique >> 16, unique >> 8 & 255, unique & 255], axis=-1).astype(np.uint8)
    palette = choose_palette(colours, counts)
    rows = dither(colours, palette, place.reshape(height, width))
    unfiltered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # filter type 0
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _INDEXED, 0, 0, 0)),
            _chunk(b"PLTE", palette.tobytes()),
            _chunk(b"IDAT", zlib.compress(unfiltered.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def choose_palette(colours: np.ndarray, counts: np.ndarray, size: int = PALETTE) -> np.ndarray:
    """At most `size` colours for distinct uint8 colours [K, 3] that occur `counts` [K] times.

    Median cut (Heckbert 1982): the box of the largest variance is cut at the mean of its widest
    channel. Colours that are few enough stay as they are.
    """
    if len(colours) <= size:
        return colours
    values, weights = colours.astype(np.float64), counts.astype(np.float64)
    boxes = [_Box(values, weights)]
    while len(boxes) < size:
        box = boxes.pop(int(np.argmax([b.spread.max() for b in boxes])))
        channel = int(box.spread.argmax())
        low = box.values[:, channel] <= box.mean[channel]
        boxes += [_Box(box.values[side], box.weights[side]) for side in (low, ~low)]
    return np.rint([box.mean for box in boxes]).astype(np.uint8)


def dither(colours: np.ndarray, palette: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Palette indices uint8 [H, W] of the image `colours[place]`; colours [K, 3], place [H, W].

    Ordered dithering between the two nearest entries, so that gradients show no bands; a colour of
    the palette stays flat.
    """
    if len(palette) == 1:
        return np.zeros(place.shape, np.uint8)
    near, other = cKDTree(palette).query(colours, k=2)[1].T
    start, end = palette[near].astype(float), palette[other].astype(float)
    along = ((colours - start) * (end - start)).sum(axis=-1)
    share = along / ((end - start) ** 2).sum(axis=-1)  # of `other`, at most a half
    height, width = place.shape
    threshold = np.tile(_BAYER, (-(-height // 4), -(-width // 4)))[:height, :width]
    return np.where(share[place] > threshold, other[place], near[place]).astype(np.uint8)


class _Box:
    """Some colours, their weighted mean and their weighted sum of squares about it."""

    def __init__(self, values: np.ndarray, weights: np.ndarray):
        self.values, self.weights = values, weights
        self.mean = weights @ values / weights.sum()
        self.spread = weights @ (values - self.mean) ** 2  # [3]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
