"""The clip types. An unlabelled clip has no field that could hold a 3D label.

Shapes: B clips, N frames, P ordered pairs, H x W pixels. Images are float in [0, 1]. Depth is z
along the optical axis (0 = none). Poses are `world_from_camera`, OpenCV axes. Pixel coordinates
are (x, y) with integer values at pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor

from flow3r.errors import DataError

BatchT = TypeVar("BatchT")


@dataclass(frozen=True)
class PairFlow:
    """Target flow of a teacher (or the exact one) for ordered pairs (source, target) of frames."""

    pairs: Tensor  # [P, 2]
    """The same pairs for every clip of a batch."""
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
    moved = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            value = _moved(value, torch.device(device))
        elif isinstance(value, (PairFlow, LabelledClips)):
            value = to_device(value, device)
        moved[field.name] = value
    return type(batch)(**moved)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """To an accelerator through pinned memory: the host does not wait for the copy."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def concatenate(batches: list[LabelledClips]) -> LabelledClips:
    """Stack labelled batches along the clip dimension.

    Raises DataError if they differ in frames, size or pairs.
    """
    first = batches[0]
    for other in batches[1:]:
        if other.images.shape[1:] != first.images.shape[1:]:
            raise DataError(
                "clips of different frames or sizes cannot share a batch: "
                f"{tuple(first.images.shape[1:])} and {tuple(other.images.shape[1:])}"
            )
        if not torch.equal(other.flow.pairs, first.flow.pairs):
            raise DataError("clips with different pairs cannot share a batch")
    return LabelledClips(
        images=torch.cat([b.images for b in batches]),
        depth=torch.cat([b.depth for b in batches]),
        intrinsics=torch.cat([b.intrinsics for b in batches]),
        world_from_camera=torch.cat([b.world_from_camera for b in batches]),
        flow=PairFlow(
            first.flow.pairs,
            torch.cat([b.flow.target_px for b in batches]),
            torch.cat([b.flow.covisibility for b in batches]),
        ),
    )
