"""DIS optical flow (Kroeger et al., ECCV 2016) of OpenCV, the teacher that needs no weights.

Tuned settings: finest scale at full resolution, denser and longer patch search, more variational
refinement. Pairs further apart than a direct match reaches are chained over the frames between
and refined after every link, which keeps moving objects that a direct match loses.
`experiments/teacher_quality.py teacher=dis` measures it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow3r.config import require, require_choice
from flow3r.errors import DataError
from flow3r.teachers.base import ExactFlow, FlowLabels, Teacher, check_clip
from flow3r.teachers.consistency import Array, compose, consistent, pixel_centres
from flow3r.teachers.opencv import one_thread

REFINEMENTS = ("variational", "search")
MIN_SIDE = 16
"""Shorter sides leave DIS no pyramid level that holds two patches."""


@dataclass(frozen=True)
class DisConfig:
    """DIS settings; the defaults are the tuned ones."""

    finest_scale: int = 0
    patch_size: int = 8
    patch_stride: int = 2
    gradient_steps: int = 32
    variational_iterations: int = 10
    direct_gap: int = 1
    """Pairs at most this many frames apart are matched directly, others chained and refined."""
    chain_refinement: str = "variational"
    """variational: each composed flow is polished by OpenCV's variational refinement, which cannot
    leave the basin the chain led to; search: the last one starts a whole DIS, whose coarse search
    loses some of what the chain had found (6 clips of 128 px, large motion, gap 4: 93 against 91 %
    of covisible pixels under 3 px)."""
    relative_tolerance: float = 0.001
    """Forward-backward check: share of the squared flow lengths. 0.01 (Sundaram et al.) lets errors
    of 3 px pass where the motion is 20 px, and with them hidden pixels: at gap 4 precision 95.4 and
    recall 97.1 %, here 96.9 and 90.5 % (6 clips of 128 px, large motion)."""
    absolute_tolerance: float = 0.5
    """Forward-backward check: squared pixels."""

    def __post_init__(self) -> None:
        require(self.finest_scale >= 0, f"finest_scale={self.finest_scale}: must be >= 0")
        require(self.patch_size >= 4, f"patch_size={self.patch_size}: must be >= 4")
        valid = 1 <= self.patch_stride <= self.patch_size
        require(valid, f"patch_stride={self.patch_stride}: not in [1, patch_size]")
        for name in ("gradient_steps", "direct_gap"):
            require(getattr(self, name) >= 1, f"{name}={getattr(self, name)}: must be >= 1")
        require_choice("chain_refinement", self.chain_refinement, REFINEMENTS)
        for name in ("variational_iterations", "relative_tolerance", "absolute_tolerance"):
            require(getattr(self, name) >= 0, f"{name}={getattr(self, name)}: must be >= 0")


@dataclass(frozen=True)
class DisTeacher(Teacher):
    """Labels on the CPU; covisibility is the forward-backward check."""

    config: DisConfig = field(default_factory=DisConfig)
    name: ClassVar[str] = "dis"

    @property
    def settings(self) -> Mapping[str, Any]:
        return dataclasses.asdict(self.config)

    def label(
        self, frames: Tensor, pairs: Tensor, *, truth: ExactFlow | None = None, index: int = 0
    ) -> FlowLabels:
        check_clip(frames, pairs)
        grey = grey_frames(frames)
        height, width = grey.shape[1:]
        grid = pixel_centres(height, width)
        targets = np.empty((len(pairs), height, width, 2), np.float32)
        masks = np.empty((len(pairs), height, width), np.float32)
        with one_thread() as cv2:
            flows = _ClipFlows(grey, self.config, cv2)
            for i, (source, target) in enumerate(pairs.tolist()):
                forward, backward = flows.between(source, target), flows.between(target, source)
                targets[i] = grid + forward
                masks[i] = consistent(
                    forward,
                    backward,
                    self.config.relative_tolerance,
                    self.config.absolute_tolerance,
                )
        device = frames.device
        return FlowLabels(torch.from_numpy(targets).to(device), torch.from_numpy(masks).to(device))


class _ClipFlows:
    """Flows between the frames of one clip, each computed once."""

    def __init__(self, grey: NDArray[np.uint8], config: DisConfig, cv2: Any) -> None:
        self.grey = grey  # [N, H, W]
        self.config = config
        # Two, because a DIS object that once got an initial flow starts later calls without one
        # from that old flow (seen with OpenCV 5.0: 9 px off).
        self.direct, self.refining = _matcher(cv2, config), _matcher(cv2, config)
        self.polish = cv2.VariationalRefinement_create()
        self.polish.setFixedPointIterations(config.variational_iterations)
        self.final: dict[tuple[int, int], Array] = {}
        self.chains: dict[tuple[int, int], Array] = {}

    def between(self, source: int, target: int) -> Array:
        """Displacement [H, W, 2] from source to target."""
        key = (source, target)
        if key not in self.final:
            if source == target:
                self.final[key] = np.zeros((*self.grey.shape[1:], 2), np.float32)
            elif abs(target - source) <= self.config.direct_gap:
                self.final[key] = self.direct.calc(self.grey[source], self.grey[target], None)
            elif self.config.chain_refinement == "variational":
                self.final[key] = self._chain(source, target)
            else:
                # DIS overwrites the flow it starts from.
                start = self._chain(source, target).copy()
                self.final[key] = self.refining.calc(self.grey[source], self.grey[target], start)
        return self.final[key]

    def _chain(self, source: int, target: int) -> Array:
        """The composition of direct flows, of `direct_gap` frames each (the last may be less)."""
        key = (source, target)
        if abs(target - source) <= self.config.direct_gap:
            return self.between(source, target)
        if key not in self.chains:
            step = self.config.direct_gap if target > source else -self.config.direct_gap
            steps = (abs(target - source) - 1) // self.config.direct_gap
            before = source + steps * step
            flow = compose(self._chain(source, before), self.between(before, target))
            self.chains[key] = self._polished(flow, source, target)
        return self.chains[key]

    def _polished(self, flow: Array, source: int, target: int) -> Array:
        if self.config.chain_refinement != "variational" or not self.config.variational_iterations:
            return flow
        return self.polish.calc(self.grey[source], self.grey[target], flow)


def grey_frames(frames: Tensor) -> NDArray[np.uint8]:
    """RGB frames [N, 3, H, W], uint8 or float in [0, 1], as 8-bit luma [N, H, W] (BT.601)."""
    if min(frames.shape[-2:]) < MIN_SIDE:
        raise DataError(
            f"frames of {frames.shape[-2]}x{frames.shape[-1]} px are too small for DIS, which "
            f"needs {MIN_SIDE} px a side"
        )
    scale = 1.0 if frames.dtype == torch.uint8 else 255.0
    values = frames.detach().cpu().float() * scale
    luma = 0.299 * values[:, 0] + 0.587 * values[:, 1] + 0.114 * values[:, 2]
    return luma.round().clamp(0, 255).to(torch.uint8).contiguous().numpy()


def _matcher(cv2: Any, config: DisConfig) -> Any:
    matcher = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    matcher.setFinestScale(config.finest_scale)
    matcher.setPatchSize(config.patch_size)
    matcher.setPatchStride(config.patch_stride)
    matcher.setGradientDescentIterations(config.gradient_steps)
    matcher.setVariationalRefinementIterations(config.variational_iterations)
    matcher.setUseSpatialPropagation(True)
    return matcher
