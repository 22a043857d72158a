"""Small models of both backbones, and other weights of the same names and shapes."""

import pytest
import torch

from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.config import (
    AggregatorConfig,
    DecoderConfig,
    DenseHeadConfig,
    EncoderConfig,
    Pi3Config,
    PoseHeadConfig,
    TaskDecoderConfig,
    VggtConfig,
)

ENCODER = EncoderConfig(16, 1, 2, 3)
CONFIGS = {
    "pi3": Pi3Config(7, ENCODER, DecoderConfig(16, 2, 2), TaskDecoderConfig(16, 5, 2, 8)),
    "vggt": VggtConfig(
        7,
        ENCODER,
        AggregatorConfig(16, 4, 2),
        PoseHeadConfig(1, 2, 2),
        DenseHeadConfig(8, (8, 8, 8, 8)),
        levels=(0, 1, 2, 3),
    ),
}


@pytest.fixture(params=sorted(CONFIGS))
def architecture(request):
    """pi3, then vggt."""
    return request.param


@pytest.fixture
def small():
    """small(architecture, formulation="flow-factored", seed=0) -> a small model."""

    def build(architecture, formulation="flow-factored", seed=0):
        return build_model(CONFIGS[architecture], FormulationConfig(formulation), seed)

    return build


@pytest.fixture
def scrambled():
    """scrambled(state_dict, dtype=float32) -> random numbers in the same places."""

    def scramble(state, dtype=torch.float32):
        return {name: torch.randn(value.shape).to(dtype) for name, value in state.items()}

    return scramble
