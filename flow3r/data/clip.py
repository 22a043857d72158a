"""The clip types. An unlabelled clip has no field that could hold a 3D label.

Shapes: B clips, N frames, P ordered pairs, H x W pixels. Images are float in [0, 1]. Depth is z
along the optical axis (0 = none). Poses are `world_from_camera`, OpenCV axes. Pixel coordinates
are (x, y) with integer values at pixel centres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from flow3r.errors import DataError

BatchT = TypeVar("BatchT")


@dataclass(frozen=True)
class PairFlow:
    """Target flow of a teacher (or the exact one) for ordered pairs (source, target) of frames."""

    pairs: Tensor  # [P, 2] the same for every clip, or [B, P, 2]
    target_px: Tensor  # [B, P, H, W, 2]
    """Where each source pixel lies in the target frame, in pixels of the target frame."""
    covisibility: Tensor  # [B, P, H, W]
    """Weight in [0, 1]; 0 where the source pixel is not seen in the target frame."""


@dataclass(frozen=True)
class LabelledClips:
    """Clips with full 3D labels, and flow for their pairs."""

    images: Tensor  # [B, N, 3, H, W]
    depth: Tensor  # [B, N, H, W]
    intrinsics: Tensor  # [B, N, 3, 3]
    world_from_camera: Tensor  # [B, N, 4, 4]
    flow: PairFlow


@dataclass(frozen=True)
class UnlabelledClips:
    """Clips of which only the images and a teacher's flow are known.

    `intrinsics` are a camera's calibration, not a 3D label; None unless they were asked for.
    """

    images: Tensor  # [B, N, 3, H, W]
    flow: PairFlow
    intrinsics: Tensor | None = None  # [B, N, 3, 3]


ClipsT = TypeVar("ClipsT", LabelledClips, UnlabelledClips)


@dataclass(frozen=True)
class EvaluationClips:
    """Labelled clips with the masks that metrics need."""

    labelled: LabelledClips
    moving: Tensor  # [B, N, H, W]
    """Pixels on objects that move relative to the world during the clip."""
    scenes: tuple[str, ...]
    """One stable name per clip."""


def to_device(batch: BatchT, device: torch.device | str) -> BatchT:
    """A copy of the batch with every tensor on `device`."""
    return _mapped(batch, partial(_moved, device=torch.device(device)))


def pinned(batch: BatchT) -> BatchT:
    """A copy of the batch in pinned memory, which an accelerator copies without the host."""
    return _mapped(batch, Tensor.pin_memory)


def _mapped(batch: BatchT, change: Callable[[Tensor], Tensor]) -> BatchT:
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    for name, value in values.items():
        if isinstance(value, Tensor):
            values[name] = change(value)
        elif is_dataclass(value):
            values[name] = _mapped(value, change)
    return type(batch)(**values)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """To an accelerator through pinned memory: the host does not wait for the copy."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def clips_at(batch: ClipsT, index: slice | Tensor) -> ClipsT:
    """Some clips of a batch, in the order of the index."""
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    flow = PairFlow(
        batch.flow.pairs if batch.flow.pairs.ndim == 2 else batch.flow.pairs[index],
        batch.flow.target_px[index],
        batch.flow.covisibility[index],
    )
    some = {name: v[index] for name, v in values.items() if isinstance(v, Tensor)}
    return type(batch)(**{**values, **some, "flow": flow})


def concatenate(batches: Sequence[ClipsT]) -> ClipsT:
    """Stack batches of one kind along the clip dimension.

    Raises DataError if they differ in frames, size or pairs.
    """
    first = batches[0]
    if len(batches) == 1:
        return first
    for other in batches[1:]:
        if other.images.shape[1:] != first.images.shape[1:]:
            raise DataError(
                "clips of different frames or sizes cannot share a batch: "
                f"{tuple(first.images.shape[1:])} and {tuple(other.images.shape[1:])}"
            )
        check_same_pairs(first.flow, other.flow)
    joined = {
        field.name: torch.cat([getattr(b, field.name) for b in batches])
        for field in fields(first)
        if isinstance(getattr(first, field.name), Tensor)
    }
    flow = join_flow([b.flow for b in batches])
    return type(first)(**{**vars(first), **joined, "flow": flow})


def check_same_pairs(first: PairFlow, second: PairFlow) -> None:
    """Raise DataError unless both have the same pairs for all clips, or so many for each."""
    one, other = first.pairs, second.pairs
    fits = one.shape[1:] == other.shape[1:] if one.ndim == 3 else torch.equal(one, other)
    if one.ndim != other.ndim or not fits:
        raise DataError(
            "clips with different pairs cannot share a batch; batch.pairs.per_clip=<number> draws "
            "so many pairs of every clip"
        )


def join_flow(flows: Sequence[PairFlow]) -> PairFlow:
    """Stack flow along the clip dimension; the pairs fit together (`check_same_pairs`)."""
    pairs = flows[0].pairs
    return PairFlow(
        pairs if pairs.ndim == 2 else torch.cat([flow.pairs for flow in flows]),
        torch.cat([flow.target_px for flow in flows]),
        torch.cat([flow.covisibility for flow in flows]),
    )
