"""What the reconstruction models share, whatever their backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from flow3r.model.config import ModelConfig
from flow3r.model.outputs import Geometry, Latents


class ReconstructionModel(nn.Module, ABC):
    """Images to latents and geometry. It knows nothing about flow.

    `backbone.encoder` is the patch encoder, a `flow3r.model.encoder.PatchEncoder`.
    """

    config: ModelConfig
    backbone: nn.Module

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Images [B, N, 3, H, W] in [0, 1] -> the patch encoder's tokens [B, N, h*w, C]."""

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Latents, Geometry]:
        """Images [B, N, 3, H, W] in [0, 1] -> what flow heads may read, and decoded geometry."""
