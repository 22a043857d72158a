"""Composition, forward-backward consistency and reduction of dense flow.

Flow is a displacement in pixels [H, W, 2] (x, y) as float32 numpy arrays here, the form OpenCV
works on; labels leave as target coordinates. Integer coordinates are pixel centres.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow3r.errors import DataError
from flow3r.teachers.opencv import require_opencv

Array = NDArray[np.float32]


def pixel_centres(height: int, width: int) -> Array:
    """(x, y) of every pixel centre, [H, W, 2]."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y], axis=-1).astype(np.float32)


def sample(field: Array, at: Array) -> Array:
    """`field` [H, W, 2] bilinearly at the coordinates `at` [H, W, 2], clamped to the border."""
    cv2 = require_opencv()
    return cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def compose(first: Array, second: Array) -> Array:
    """Flow a -> c from a -> b and b -> c: first(x) + second(x + first(x))."""
    grid = pixel_centres(*first.shape[:2])
    return first + sample(second, grid + first)


def consistent(forward: Array, backward: Array, relative: float, absolute: float) -> Array:
    """1 where going there and back ends near the start and the target is inside the image.

    |f + b'|^2 < relative (|f|^2 + |b'|^2) + absolute, with b' the backward flow at the target
    (Sundaram et al., ECCV 2010; relative 0.01 and absolute 0.5 px^2 there and here).
    """
    height, width = forward.shape[:2]
    target = pixel_centres(height, width) + forward
    back = sample(backward, target)
    gap = _squared_length(forward + back)
    size = _squared_length(forward) + _squared_length(back)
    x, y = target[..., 0], target[..., 1]
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    return ((gap < relative * size + absolute) & inside).astype(np.float32)


def _squared_length(flow: Array) -> Array:
    # Written out: numpy is slow at sums over an axis of two.
    return flow[..., 0] ** 2 + flow[..., 1] ** 2


def reduce_flow(
    target_px: Tensor, covisibility: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Labels [P, kH, kW, ...] of the same frames at the k times smaller size (H, W), k integer.

    With pixel centres at integers, pixel x of the small image is the middle of the block
    k x .. k x + k - 1, so x_large = k (x + 0.5) - 0.5. The displacement of a block is the mean of
    its covisible pixels (of all, where none is); the block is covisible if half of them are and
    its target is inside the image.
    """
    (height, width), (large_height, large_width) = size, covisibility.shape[-2:]
    k = large_height // height if height else 0
    if k < 1 or (large_height, large_width) != (k * height, k * width):
        raise DataError(
            f"flow of {large_height}x{large_width} px cannot be reduced to {height}x{width}: "
            "both sides must shrink by the same whole factor"
        )
    large = torch.from_numpy(pixel_centres(large_height, large_width)).to(target_px.device)
    flow = _blocks(target_px - large, k)  # [P, H, W, 2, k*k]
    weight = _blocks(covisibility[..., None], k)  # [P, H, W, 1, k*k]
    share = weight.mean(-1)
    weight = torch.where(share[..., None] > 0, weight, torch.ones_like(weight))
    displacement = (flow * weight).sum(-1) / weight.sum(-1) / k
    target = displacement + torch.from_numpy(pixel_centres(height, width)).to(flow.device)
    limit = target.new_tensor([width - 0.5, height - 0.5])
    inside = ((target >= -0.5) & (target < limit)).all(-1)
    return target, ((share[..., 0] >= 0.5) & inside).to(covisibility.dtype)


def _blocks(values: Tensor, k: int) -> Tensor:
    """[P, kH, kW, C] -> [P, H, W, C, k*k]."""
    count, height, width, channels = values.shape
    split = values.reshape(count, height // k, k, width // k, k, channels)
    return split.permute(0, 1, 3, 5, 2, 4).flatten(-2)
