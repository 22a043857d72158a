"""Numbers to colours. Plain numpy; only named colour maps ask matplotlib."""

from __future__ import annotations

import numpy as np

HIDDEN = np.array([0.45, 0.45, 0.45])
"""Pixels without a value. Grey: no flow is white, and no direction is grey."""
DEPTH_MAP = "magma_r"
ERROR_MAP = "YlGnBu"


def flow_colours(flow: np.ndarray, limit: float) -> np.ndarray:
    """Displacements (x right, y down) [..., 2] to RGB [..., 3].

    The direction is the hue (right red, down yellow-green, left cyan, up violet), the length the
    saturation: white for none, the pure hue from `limit` on.
    """
    length = np.linalg.norm(flow, axis=-1)
    hue = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1.0
    saturation = np.clip(length / limit, 0.0, 1.0)
    # A hue is a hexagon's edge: each channel is a trapezium over the turn, shifted by a third.
    turn = hue[..., None] * 6.0 + np.array([0.0, 4.0, 2.0])
    pure = np.clip(np.abs(turn % 6.0 - 3.0) - 1.0, 0.0, 1.0)
    return 1.0 - saturation[..., None] * (1.0 - pure)


def flow_wheel(pixels: int) -> np.ndarray:
    """The key of `flow_colours`: RGBA [pixels, pixels, 4], a disc whose rim is the limit."""
    axis = np.linspace(-1.0, 1.0, pixels)
    flow = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = np.linalg.norm(flow, axis=-1) <= 1.0
    return np.concatenate([flow_colours(flow, 1.0), inside[..., None]], axis=-1)


def mapped(values: np.ndarray, limits: tuple[float, float], name: str) -> np.ndarray:
    """Values [...] through the colour map `name`, linear between the limits: RGB [..., 3]."""
    from matplotlib import colormaps

    low, high = limits
    return colormaps[name](np.clip((values - low) / (high - low), 0.0, 1.0))[..., :3]


def depth_colours(depth: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Depths [H, W] to RGB, logarithmic between the limits; grey where there is none (0)."""
    known = depth > 0
    logarithm = np.log(np.where(known, depth, 1.0))
    shown = mapped(logarithm, (np.log(limits[0]), np.log(limits[1])), DEPTH_MAP)
    return masked(shown, known)


def masked(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """RGB [..., 3] where `known` [...], grey elsewhere."""
    return np.where(known[..., None], colours, HIDDEN)
