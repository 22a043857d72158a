"""Full-size models filled by the weights rule, and what the released code computes with them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

HERE = Path(__file__).parent
INITIALISERS = ("xavier_uniform_", "kaiming_uniform_", "uniform_", "normal_", "trunc_normal_")


@pytest.fixture
def weights_rule():
    """The module `weights_rule` of this folder (test folders are no packages)."""
    specification = importlib.util.spec_from_file_location("weights_rule", HERE / "weights_rule.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def without_initial_weights(monkeypatch):
    """Layers keep whatever memory held: every tensor is filled afterwards."""
    for name in INITIALISERS:
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.fixture
def parity_images():
    """The known input [1, 3, 3, 56, 70]."""
    return torch.rand(1, 3, 3, 56, 70, generator=torch.Generator().manual_seed(1235))


@pytest.fixture
def parity_reference():
    """A function: file name -> its arrays as tensors."""

    def read(name: str) -> dict[str, torch.Tensor]:
        with np.load(HERE / name) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}

    return read


@pytest.fixture
def relative_error():
    """A function: actual, expected -> |difference| / |expected|, in double precision."""

    def measure(actual: torch.Tensor, expected: torch.Tensor) -> float:
        assert actual.shape == expected.shape
        difference = actual.detach().double() - expected.double()
        return float(difference.norm() / expected.double().norm())

    return measure
