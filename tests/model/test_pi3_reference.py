"""The whole Flow3r model against a slow independent one, at another size and aspect ratio."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

import flow3r
from flow3r.model.config import DecoderConfig, EncoderConfig, Pi3Config, TaskDecoderConfig

FRAMES = 3
PAIRS = [(0, 1), (2, 0), (1, 1)]


@pytest.fixture(scope="module")
def slow():
    """The module `slow_flow3r` of this folder (test folders are no packages)."""
    path = Path(__file__).parent / "slow_flow3r.py"
    specification = importlib.util.spec_from_file_location("slow_flow3r", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def config(slow):
    """Every part of the released model, narrow and shallow."""
    return Pi3Config(
        patch_size=slow.PATCH,
        encoder=EncoderConfig(24, slow.ENCODER_DEPTH, slow.HEADS, slow.SIDE),
        decoder=DecoderConfig(24, slow.DECODER_DEPTH, slow.HEADS),
        tasks=TaskDecoderConfig(16, 5, slow.TASK_HEADS, camera_width=8),
    )


def lively(state, generator):
    """Weights that let every part of the model count."""
    filled = {}
    for name, value in state.items():
        r = torch.randn(value.shape, generator=generator)
        if name.startswith("image_"):
            filled[name] = value
        elif name.endswith(".gamma"):
            filled[name] = 0.5 + 0.1 * r
        elif value.ndim == 1:
            filled[name] = 1 + 0.2 * r if name.endswith("weight") else 0.2 * r
        elif "token" in name or "pos_embed" in name:
            filled[name] = 0.5 * r
        else:
            filled[name] = r / value[0].numel() ** 0.5
    return filled


def test_every_output_agrees_with_the_slow_model(slow, config):
    generator = torch.Generator().manual_seed(3)
    model = flow3r.create_model(config, identity_ramp=False).eval()
    weights = lively(flow3r.export_released(model), generator)
    flow3r.import_released(model, weights)
    images = torch.rand(2, FRAMES, 3, *slow.SIZE, generator=generator)
    with torch.inference_mode():
        prediction = model(images, torch.tensor(PAIRS))
    weights = {name: value.double().numpy() for name, value in weights.items()}
    for clip in range(2):
        expected = slow.reconstruct(images[clip].double().numpy(), PAIRS, weights)
        for name, value in expected.items():
            source = prediction.flow if name == "target_px" else prediction
            actual = getattr(source, name)[clip].double().numpy()
            assert actual.shape == value.shape
            error = np.linalg.norm(actual - value) / np.linalg.norm(value)
            assert error < 1e-5, (name, error)
