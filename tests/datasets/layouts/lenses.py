"""The generated world through a lens: each pixel's ray is found by solving the lens's formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from dataset_layouts.clip import Clip

Bend = Callable[[float], float]
"""Radius of a ray at z = 1 -> its radius after the lens."""


def fisheye(k1: float, k2: float, k3: float, k4: float) -> Bend:
    def bend(radius: float) -> float:
        angle = np.arctan(radius)
        return angle + k1 * angle**3 + k2 * angle**5 + k3 * angle**7 + k4 * angle**9

    return bend


def radial(k1: float, k2: float = 0.0) -> Bend:
    return lambda radius: radius + k1 * radius**3 + k2 * radius**5


def record(clip: Clip, k: np.ndarray, size: tuple[int, int], bend: Bend):
    """Images and depth [N, h, w] as they are recorded through the lens."""
    x, y = np.zeros(size), np.zeros(size)
    for row, column in np.ndindex(*size):
        u, v = (column - k[0, 2]) / k[0, 0], (row - k[1, 2]) / k[1, 1]
        bent = np.hypot(u, v)
        factor = _unbend(bend, bent) / bent if bent else 1.0
        x[row, column], y[row, column] = u * factor, v * factor
    return clip.rays(x, y, k[0, 0])


def straight_depth(depth: np.ndarray, k: np.ndarray, bend: Bend) -> np.ndarray:
    """Of the recorded depth [N, h, w]: at every pinhole pixel the value nearest to its bent ray."""
    straight = np.zeros_like(depth)
    for row, column in np.ndindex(*depth.shape[1:]):
        x, y = (column - k[0, 2]) / k[0, 0], (row - k[1, 2]) / k[1, 1]
        radius = np.hypot(x, y)
        factor = bend(radius) / radius if radius else 1.0
        u, v = round(x * factor * k[0, 0] + k[0, 2]), round(y * factor * k[1, 1] + k[1, 2])
        if 0 <= u < depth.shape[2] and 0 <= v < depth.shape[1]:
            straight[:, row, column] = depth[:, v, u]
    return straight


def _unbend(bend: Bend, bent: float) -> float:
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if bend(middle) < bent else (low, middle)
    return low
