"""RAFT (Teed and Deng, ECCV 2020) of torchvision, with weights that the user puts in a file.

Nothing is downloaded. Covisibility is a forward-backward check.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from flow3r.config import require, require_choice
from flow3r.errors import ConfigError
from flow3r.geometry.camera import pixel_grid
from flow3r.teachers.forward_backward import agreement
from flow3r.teachers.learned import LearnedTeacher
from flow3r.teachers.resizing import multiple_of, stretch, stretch_flow

VARIANTS = ("raft_large", "raft_small")
DIVISOR = 8
LEAST_SIDE = 128
"""torchvision's RAFT pools its 1/8 correlation volume over four levels, which needs 16 cells."""


@dataclass(frozen=True)
class RaftConfig:
    """Which RAFT, and how it is run."""

    weights: str = ""
    """File with the state dict of torchvision's model; required."""
    content: str = ""
    """Hash of the file when the run was planned: it identifies the weights, the path does not.
    Another file is refused. Empty: not checked."""
    variant: str = "raft_large"
    updates: int = 12
    """Recurrent updates per pair; torchvision's default."""
    short_side: int | None = None
    """Images are stretched to about this short side; null: their own, but at least 128 px."""
    batch: int = 4
    """Pairs at once."""
    device: str = "cpu"
    relative_tolerance: float = 0.01
    absolute_tolerance: float = 0.5

    def __post_init__(self) -> None:
        require_choice("variant", self.variant, VARIANTS)
        for name in ("updates", "batch"):
            require(getattr(self, name) >= 1, f"{name}={getattr(self, name)}: must be >= 1")
        side = self.short_side
        require(
            side is None or side >= LEAST_SIDE,
            f"short_side={side}: must be >= {LEAST_SIDE} or null",
        )


@dataclass(frozen=True)
class RaftTeacher(LearnedTeacher):
    """Flow both ways; what returns to where it started counts as covisible."""

    config: RaftConfig = field(default_factory=RaftConfig)
    name: ClassVar[str] = "raft"

    def _load(self) -> nn.Module:
        return load_raft(self.config)

    def _label(self, images: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images.shape[-2:]
        images = stretch(images, self._size(height, width))
        images = images.clamp(0, 1) * 2 - 1  # RAFT sees [-1, 1]
        both = torch.cat([pairs, pairs.flip(1)])
        parts = [
            self._flow(images[p[:, 0]], images[p[:, 1]]) for p in both.split(self.config.batch)
        ]
        flow = stretch_flow(torch.cat(parts), (height, width)).permute(0, 2, 3, 1)
        forward, backward = flow.chunk(2)
        covisibility = agreement(
            forward, backward, self.config.relative_tolerance, self.config.absolute_tolerance
        )
        return forward + pixel_grid(height, width, flow.device, flow.dtype), covisibility

    def _flow(self, source: Tensor, target: Tensor) -> Tensor:
        """Displacement [P, 2, h, w] in pixels of the network's size: the last of its updates."""
        return self._model(source, target, num_flow_updates=self.config.updates)[-1].float()

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """The size the network works at: sides in multiples of 8, none below 128."""
        scale = (self.config.short_side or max(min(height, width), LEAST_SIDE)) / min(height, width)
        return tuple(multiple_of(round(s * scale), DIVISOR, LEAST_SIDE) for s in (height, width))


def load_raft(config: RaftConfig) -> nn.Module:
    """torchvision's model with the user's weights; ConfigError says what is missing."""
    require(
        bool(config.weights) and Path(config.weights).is_file(),
        f"teacher 'raft': weights={config.weights!r} is no file; download torchvision's "
        f"{config.variant} weights (a .pth of {config.variant}(weights='DEFAULT')) once and give "
        "their path as teacher.settings.weights=PATH. Nothing is downloaded here",
    )
    try:
        from torchvision.models import optical_flow
    except ImportError as error:
        raise ConfigError(
            f"teacher 'raft' needs torchvision, which cannot be imported ({error}); install it "
            "with: pip install 'flow3r-harness[teachers]'"
        ) from error
    model = getattr(optical_flow, config.variant)(weights=None, progress=False)
    state = torch.load(config.weights, map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigError(
            f"teacher 'raft': {config.weights} does not hold the weights of torchvision's "
            f"{config.variant}: {str(error).splitlines()[1].strip()}"
        ) from error
    return model
