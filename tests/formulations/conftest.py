"""A tiny model with every feature of the released one, and its outputs."""

import pytest
import torch

from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.config import DecoderConfig, EncoderConfig, Pi3Config, TaskDecoderConfig


@pytest.fixture
def tiny() -> Pi3Config:
    """Four levels, class token, registers, own confidence decoder, cross-frame heads."""
    return Pi3Config(
        patch_size=8,
        encoder=EncoderConfig(width=16, depth=1, heads=2, grid=6),
        decoder=DecoderConfig(width=16, depth=4, heads=2, cross_frame_heads=0.5),
        tasks=TaskDecoderConfig(width=16, depth=5, heads=2, camera_width=8),
    )


@pytest.fixture
def build(tiny):
    """build(name, **options) -> the assembled tiny model, seed 0."""

    def _build(name, seed=0, **options):
        return build_model(tiny, FormulationConfig(name, options), seed)

    return _build


@pytest.fixture
def all_pairs():
    """Every ordered pair of three frames."""
    return torch.tensor([[i, j] for i in range(3) for j in range(3) if i != j])
