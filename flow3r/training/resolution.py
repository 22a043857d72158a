"""Another size and shape of the clips in every step, the same for all clips of its batch (pi3).

Clips are stored at one size. A step draws a size from the buckets; the largest centred window of
its shape is cut out of every frame and resized. Depth, flow and covisibility take the nearest
stored pixel, so that nothing is mixed with what is missing; intrinsics follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from flow3r.data.clip import ClipsT, LabelledClips, PairFlow
from flow3r.data.framing import Size, bucket_sizes
from flow3r.geometry.camera import pixel_grid, resize_intrinsics, size_like
from flow3r.streams import numpy_generator


@dataclass(frozen=True)
class SizesConfig:
    """Buckets: all sizes of so many pixels, with sides that are multiples, so wide for their
    height. pi3's second stage: [100000, 255000], 14, [0.5, 2]."""

    pixels: tuple[int, int]
    multiple: int
    """Of the model's patch size."""
    aspect: tuple[float, float] = (0.5, 2.0)
    """Width / height."""

    def __post_init__(self) -> None:
        bucket_sizes(self.pixels, self.multiple, self.aspect)

    @cached_property
    def buckets(self) -> tuple[Size, ...]:
        return bucket_sizes(self.pixels, self.multiple, self.aspect)

    def of_step(self, seed: int, step: int) -> Size:
        """(height, width) of a step's batch: every bucket is as likely as any other."""
        generator = numpy_generator(seed, "size", step)
        return self.buckets[int(generator.integers(len(self.buckets)))]


@dataclass(frozen=True)
class _Cut:
    """A window of whole pixels, and the size that it is brought to."""

    top: int
    left: int
    height: int
    width: int
    size: Size

    @property
    def rows(self) -> Tensor:  # [H'] the stored pixel nearest to the centre of each new one
        return self.top + _nearest(self.height, self.size[0])

    @property
    def columns(self) -> Tensor:  # [W']
        return self.left + _nearest(self.width, self.size[1])


def at_size(clips: ClipsT, size: Size) -> ClipsT:
    """Clips of H x W pixels, cut and resized to `size` (height, width)."""
    height, width = clips.images.shape[-2:]
    if (height, width) == size:
        return clips
    cut = _cut((height, width), size)
    changed = {"images": _images(clips.images, cut), "flow": _flow(clips.flow, cut)}
    if clips.intrinsics is not None:
        changed["intrinsics"] = _intrinsics(clips.intrinsics, cut)
    if isinstance(clips, LabelledClips):
        changed["depth"] = _taken(clips.depth, cut)
    return replace(clips, **changed)


def _cut(source: Size, size: Size) -> _Cut:
    scale = min(source[0] / size[0], source[1] / size[1])
    height = min(source[0], max(1, round(size[0] * scale)))
    width = min(source[1], max(1, round(size[1] * scale)))
    return _Cut((source[0] - height) // 2, (source[1] - width) // 2, height, width, size)


def _images(images: Tensor, cut: _Cut) -> Tensor:
    window = images[..., cut.top : cut.top + cut.height, cut.left : cut.left + cut.width]
    flat = window.flatten(0, 1)
    resized = F.interpolate(flat, cut.size, mode="bilinear", antialias=True).clamp(0, 1)
    return resized.unflatten(0, images.shape[:2])


def _taken(maps: Tensor, cut: _Cut) -> Tensor:
    """[..., H, W] -> [..., H', W']"""
    return maps[..., cut.rows[:, None], cut.columns]


def _intrinsics(intrinsics: Tensor, cut: _Cut) -> Tensor:
    moved = intrinsics.clone()
    moved[..., 0, 2] -= cut.left
    moved[..., 1, 2] -= cut.top
    return resize_intrinsics(moved, (cut.height, cut.width), cut.size)


def _flow(flow: PairFlow, cut: _Cut) -> PairFlow:
    """The displacement of the nearest stored pixel, from the centre of the new one."""
    height, width = flow.target_px.shape[-3:-1]
    displacement = flow.target_px - pixel_grid(height, width)
    x, y = (_taken(part, cut) for part in displacement.unbind(-1))
    scale = (cut.size[1] / cut.width, cut.size[0] / cut.height)
    moved = torch.stack([x * scale[0], y * scale[1]], -1)
    target_px = pixel_grid(*cut.size) + moved
    inside = ((target_px > -0.5) & (target_px < size_like(*cut.size, target_px) - 0.5)).all(-1)
    return replace(flow, target_px=target_px, covisibility=_taken(flow.covisibility, cut) * inside)


def _nearest(length: int, count: int) -> Tensor:
    return ((torch.arange(count) + 0.5) * (length / count)).floor().long()
