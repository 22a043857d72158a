"""Exact flow with an error model: the control for how much the teacher's quality matters.

The model has the three parts that a real teacher's error shows: a smooth displacement error
that varies over the image, gross errors in coherent patches, and wrong covisibility in patches.
All come from one low-resolution Gaussian field per part, resized bilinearly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from flow3r.config import require
from flow3r.streams import torch_generator
from flow3r.teachers.base import ExactFlow, FlowLabels, Teacher
from flow3r.teachers.exact import exact_labels


@dataclass(frozen=True)
class NoisyConfig:
    """Sizes of the errors."""

    smooth_px: float = 0.5
    """Standard deviation of the smooth error per axis, pixels."""
    gross_px: float = 5.0
    """Standard deviation of the gross error per axis, pixels."""
    gross_share: float = 0.05
    """Share of pixels with a gross error."""
    mask_flip_share: float = 0.05
    """Share of pixels whose covisibility is flipped."""
    patch_px: int = 8
    """Correlation length of all errors, pixels."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("smooth_px", "gross_px"):
            require(getattr(self, name) >= 0, f"{name}={getattr(self, name)}: must be >= 0")
        for name in ("gross_share", "mask_flip_share"):
            require(0 <= getattr(self, name) <= 1, f"{name}={getattr(self, name)}: not in [0, 1]")
        require(self.patch_px >= 1, f"patch_px={self.patch_px}: must be >= 1")


@dataclass(frozen=True)
class NoisyTeacher(Teacher):
    """Exact flow plus seeded errors; the same clip index and pair gives the same errors."""

    config: NoisyConfig = field(default_factory=NoisyConfig)
    name: ClassVar[str] = "noisy"

    @property
    def settings(self) -> Mapping[str, Any]:
        return dataclasses.asdict(self.config)

    def label(
        self, frames: Tensor, pairs: Tensor, *, truth: ExactFlow | None = None, index: int = 0
    ) -> FlowLabels:
        exact = exact_labels(self.name, frames, pairs, truth)
        height, width = exact.covisibility.shape[-2:]
        fields = torch.stack([self._fields(index, pair, height, width) for pair in pairs.tolist()])
        fields = fields.to(exact.target_px.device)  # [P, 6, H, W]
        config = self.config
        error = config.smooth_px * fields[:, 0:2]
        gross = _top_share(fields[:, 4], config.gross_share)
        error = error + config.gross_px * fields[:, 2:4] * gross[:, None]
        flip = _top_share(fields[:, 5], config.mask_flip_share)
        covisibility = torch.where(flip, 1 - exact.covisibility, exact.covisibility)
        return FlowLabels(exact.target_px + error.permute(0, 2, 3, 1), covisibility)

    def _fields(self, index: int, pair: list[int], height: int, width: int) -> Tensor:
        """Six smooth fields [6, H, W] of zero mean and unit variance for one pair."""
        stream = f"teacher/noisy/{pair[0]}-{pair[1]}"
        generator = torch_generator(self.config.seed, stream, index)
        cells = (height // self.config.patch_px + 2, width // self.config.patch_px + 2)
        coarse = torch.randn((1, 6, *cells), generator=generator)
        fine = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)[0]
        # Interpolation averages and so shrinks the variance; undo that per field.
        return fine / fine.flatten(1).std(dim=1).clamp_min(1e-6)[:, None, None]


def _top_share(values: Tensor, share: float) -> Tensor:
    """The mask of the given share of largest values of each [H, W] map of values [P, H, W]."""
    if share <= 0:
        return torch.zeros_like(values, dtype=torch.bool)
    threshold = torch.quantile(values.flatten(1), 1 - share, dim=1)
    return values >= threshold[:, None, None]
