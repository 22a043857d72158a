"""The size of a model's input, and predictions brought to the size of the truth."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import interpolate

from flow3r.evaluation.protocols.protocol import SizeRule


def input_size(rule: SizeRule, height: int, width: int) -> tuple[int, int]:
    """(height, width) of the model's input for an image of height x width pixels.

    The image is scaled to `rule.width`, then both sides go to multiples of the patch size: 640 x
    480 gives 518 x 392 by pi3's rule for pointmaps, 504 x 378 by its rule for poses (512, down).
    """
    scaled = height * rule.width / width
    return _multiple(rule, scaled), _multiple(rule, rule.width)


def resized_points(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Points [h, w, 3] at another size [H, W, 3]: their coordinates are interpolated.

    Bilinear, antialiased where it gets smaller, as pi3's evaluation does it.
    """
    if points.shape[:2] == tuple(size):
        return points
    planes = torch.from_numpy(points.astype(np.float64)).permute(2, 0, 1)[None]
    resized = interpolate(planes, size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def resized_depth(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth [h, w] at another size [H, W]: bicubic (a = -0.75), as OpenCV's INTER_CUBIC."""
    if depth.shape == tuple(size):
        return depth
    plane = torch.from_numpy(depth.astype(np.float64))[None, None]
    return interpolate(plane, size=size, mode="bicubic", align_corners=False)[0, 0].numpy()


def _multiple(rule: SizeRule, length: float) -> int:
    steps = length / rule.multiple
    # Half a step goes up: Python's round would take the even one.
    whole = int(steps + 0.5) if rule.rounding == "nearest" else int(steps)
    return max(1, whole) * rule.multiple
