"""The generated world through a lens: each pixel's ray is found by solving the lens's formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from dataset_layouts.clip import Clip

Bend = Callable[[np.ndarray], np.ndarray]
"""Radii of rays at z = 1 -> their radii after the lens."""


def fisheye(k1: float, k2: float, k3: float, k4: float) -> Bend:
    def bend(radius: np.ndarray) -> np.ndarray:
        angle = np.arctan(radius)
        return angle + k1 * angle**3 + k2 * angle**5 + k3 * angle**7 + k4 * angle**9

    return bend


def radial(k1: float, k2: float = 0.0) -> Bend:
    return lambda radius: radius + k1 * radius**3 + k2 * radius**5


def record(clip: Clip, k: np.ndarray, size: tuple[int, int], bend: Bend):
    """Images and depth [N, h, w] as they are recorded through the lens."""
    rows, columns = np.indices(size)
    u, v = (columns - k[0, 2]) / k[0, 0], (rows - k[1, 2]) / k[1, 1]
    bent = np.maximum(np.hypot(u, v), 1e-9)
    factor = _unbent(bend, bent) / bent
    return clip.rays(u * factor, v * factor, k[0, 0])


ROUNDING = 0.01
"""Mean grey values: pictures are interpolated in float32 and rounded once."""


def straight_depth(depth: np.ndarray, k: np.ndarray, bend: Bend) -> np.ndarray:
    """Of the recorded depth [N, h, w]: at every pinhole pixel the value nearest to its bent ray."""
    u, v = _bent_pixels(depth.shape[1:], k, bend)
    u, v = np.rint(u).astype(int), np.rint(v).astype(int)
    inside = (u >= 0) & (u < depth.shape[2]) & (v >= 0) & (v < depth.shape[1])
    return np.where(inside, depth[:, v * inside, u * inside], np.float32(0))


def straight_images(images: np.ndarray, k: np.ndarray, bend: Bend) -> np.ndarray:
    """Of the recorded images [N, h, w, 3]: bilinear at the bent rays, black around the picture."""
    u, v = _bent_pixels(images.shape[1:3], k, bend)
    framed = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    u, v = np.clip(u + 1, 0, framed.shape[2] - 1.001), np.clip(v + 1, 0, framed.shape[1] - 1.001)
    x, y = u.astype(int), v.astype(int)
    right, down = (u - x)[..., None], (v - y)[..., None]
    above = framed[:, y, x] * (1 - right) + framed[:, y, x + 1] * right
    below = framed[:, y + 1, x] * (1 - right) + framed[:, y + 1, x + 1] * right
    return np.rint(above * (1 - down) + below * down).astype(np.uint8)


def _bent_pixels(size: tuple[int, int], k: np.ndarray, bend: Bend) -> tuple[np.ndarray, np.ndarray]:
    """Where the rays of a pinhole camera's pixels are recorded."""
    rows, columns = np.indices(size)
    x, y = (columns - k[0, 2]) / k[0, 0], (rows - k[1, 2]) / k[1, 1]
    radius = np.maximum(np.hypot(x, y), 1e-9)
    factor = bend(radius) / radius
    return x * factor * k[0, 0] + k[0, 2], y * factor * k[1, 1] + k[1, 2]


def _unbent(bend: Bend, bent: np.ndarray) -> np.ndarray:
    """The first radius that is bent to `bent`: a polynomial turns back further out."""
    high = np.full_like(bent, 0.05)
    while (short := bend(high) < bent).any():
        high = high + 0.05 * short
    low = high - 0.05
    for _ in range(50):
        middle = (low + high) / 2
        short = bend(middle) < bent
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return low
