"""From a model config to the reconstruction model."""

from __future__ import annotations

from flow3r.model.base import ReconstructionModel
from flow3r.model.config import ModelConfig, Pi3Config
from flow3r.model.pi3.model import Pi3Model
from flow3r.model.vggt.model import VggtModel

__all__ = ["ReconstructionModel", "create_reconstruction"]


def create_reconstruction(config: ModelConfig) -> ReconstructionModel:
    """Build the model with initial weights of our own, drawn from torch's global random state."""
    if isinstance(config, Pi3Config):
        return Pi3Model(config)
    return VggtModel(config)
