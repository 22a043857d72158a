"""The contract of a teacher: whatever supplies target flow and covisibility for pairs of frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from flow3r.errors import DataError


@dataclass(frozen=True)
class FlowLabels:
    """Flow of one clip for P ordered pairs (source, target)."""

    target_px: Tensor  # [P, H, W, 2]
    """Where each source pixel lies in the target frame, (x, y) in pixels, float32."""
    covisibility: Tensor  # [P, H, W]
    """Weight in [0, 1], float32; 0 where the source pixel is not seen in the target frame."""


ExactFlow = Callable[[Tensor], tuple[Tensor, Tensor]]
"""The truth of a generated clip: pairs [P, 2] -> (target_px [P,H,W,2], covisibility [P,H,W])."""


class Teacher(ABC):
    """Labels the flow of clips. `settings` holds all that can change a number, ready for JSON."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Plain values that, with the name, identify the labels this teacher makes."""

    @abstractmethod
    def label(
        self, frames: Tensor, pairs: Tensor, *, truth: ExactFlow | None = None, index: int = 0
    ) -> FlowLabels:
        """Label the pairs of one clip.

        frames: [N, 3, H, W], uint8 or float in [0, 1], in the order of time and at the full frame
        rate that is at hand: a teacher may use the frames between those of a pair.
        pairs: [P, 2] indices into `frames`. truth: exact flow, of generated clips only; learned and
        classical teachers do not look at it. index: the clip's number, for teachers that draw.
        Raises DataError for frames or pairs it cannot label.
        """


def check_clip(frames: Tensor, pairs: Tensor) -> None:
    """Raise DataError unless frames are [N, 3, H, W] and the pairs [P, 2] index into them."""
    if frames.ndim != 4 or frames.shape[1] != 3:
        raise DataError(f"frames of shape {tuple(frames.shape)}: expected [N, 3, H, W]")
    if frames.dtype != torch.uint8 and not frames.is_floating_point():
        raise DataError(f"frames of type {frames.dtype}: expected uint8 or float in [0, 1]")
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise DataError(f"pairs of shape {tuple(pairs.shape)}: expected [P, 2]")
    count = frames.shape[0]
    if pairs.numel() and not (int(pairs.min()) >= 0 and int(pairs.max()) < count):
        raise DataError(f"pairs {pairs.tolist()} point outside the {count} frames of the clip")
