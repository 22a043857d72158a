"""Exact flow with an error model: the control for how much the teacher's quality matters.

The model has what the error of the DIS teacher shows: smooth displacement errors in patches, whose
size varies strongly over the image (log-normal), grows with the motion and is larger next to edges
of the motion; pixels wrongly dropped and hidden pixels wrongly kept, in patches. All of it comes
from Gaussian fields of low resolution, resized bilinearly. The defaults match DIS on clips like a
video's successive frames; `experiments/teacher_quality.py` measures both in the same numbers.
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
from flow3r.geometry.camera import pixel_grid
from flow3r.streams import torch_generator
from flow3r.teachers.base import ExactFlow, FlowLabels, Teacher
from flow3r.teachers.exact import exact_labels
from flow3r.teachers.motion_edges import near_edges

FIELDS = 5


@dataclass(frozen=True)
class NoisyConfig:
    """Sizes of the errors."""

    smooth_px: float = 0.065
    """Standard deviation of the displacement error per axis where nothing moves, pixels; the
    median one where `spread` is not 0."""
    motion_share: float = 0.0135
    """What is added to it per pixel of motion."""
    spread: float = 1.0
    """Standard deviation of the logarithm of the error's size over the image."""
    edge_factor: float = 2.5
    """The error is this many times as large next to edges of the motion."""
    missed_share: float = 0.07
    """Share of covisible pixels marked hidden."""
    invented_share: float = 0.11
    """Share of hidden pixels marked covisible."""
    patch_px: int = 8
    """Correlation length of all errors, pixels."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("smooth_px", "motion_share", "spread", "edge_factor"):
            require(getattr(self, name) >= 0, f"{name}={getattr(self, name)}: must be >= 0")
        for name in ("missed_share", "invented_share"):
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
        if not len(pairs):
            return exact
        height, width = exact.covisibility.shape[-2:]
        fields = torch.stack([self._fields(index, pair, height, width) for pair in pairs.tolist()])
        fields = fields.to(exact.target_px.device)  # [P, FIELDS, H, W]
        error = self._size(exact, fields[:, 2])[..., None] * fields[:, 0:2].permute(0, 2, 3, 1)
        missed = _top_share(fields[:, 3], self.config.missed_share)
        invented = _top_share(fields[:, 4], self.config.invented_share)
        seen = exact.covisibility
        covisibility = torch.where(missed, 0.0, seen) + torch.where(invented, 1 - seen, 0.0)
        return FlowLabels(exact.target_px + error, covisibility.clamp(0, 1))

    def _size(self, exact: FlowLabels, field: Tensor) -> Tensor:
        """Standard deviation per axis of the error of every pixel [P, H, W]."""
        config = self.config
        height, width = field.shape[-2:]
        motion = (
            exact.target_px
            - pixel_grid(height, width, exact.target_px.device, exact.target_px.dtype)
        ).norm(dim=-1)
        # What leaves the image far away has no larger error than what crosses it.
        motion = motion.clamp_max(max(height, width))
        size = config.smooth_px + config.motion_share * motion
        edges = near_edges(exact.target_px, exact.covisibility)
        return size * (config.spread * field).exp() * torch.where(edges, config.edge_factor, 1.0)

    def _fields(self, index: int, pair: list[int], height: int, width: int) -> Tensor:
        """Smooth fields [FIELDS, H, W] of zero mean and unit variance for one pair."""
        stream = f"teacher/noisy/{pair[0]}-{pair[1]}"
        generator = torch_generator(self.config.seed, stream, index)
        cells = (height // self.config.patch_px + 2, width // self.config.patch_px + 2)
        coarse = torch.randn((1, FIELDS, *cells), generator=generator)
        fine = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)[0]
        # Interpolation averages and so shrinks the variance; undo that per field.
        return fine / fine.flatten(1).std(dim=1).clamp_min(1e-6)[:, None, None]


def _top_share(values: Tensor, share: float) -> Tensor:
    """The mask of the given share of largest values of each [H, W] map of values [P, H, W]."""
    if share <= 0:
        return torch.zeros_like(values, dtype=torch.bool)
    threshold = torch.quantile(values.flatten(1), 1 - share, dim=1)
    return values >= threshold[:, None, None]
