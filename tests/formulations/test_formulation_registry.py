"""Formulations by name; a fifth one is one new file."""

import sys

import pytest
import torch

import flow3r.formulations as package
from flow3r.errors import ConfigError
from flow3r.formulations import registry
from flow3r.formulations.assembled import build_model
from flow3r.formulations.base import Formulation
from flow3r.formulations.registry import FormulationConfig, create_formulation, formulation_names

FIFTH = """
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from flow3r.formulations.base import Formulation
from flow3r.formulations.registry import register
from flow3r.model.outputs import Flow


@dataclass(frozen=True)
class ConstantConfig:
    value: float = 3.0


@register(ConstantConfig)
class Constant(Formulation):
    name = "flow-constant"
    supervises_unlabelled = True

    def __init__(self, options, model):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(options.value))

    def forward(self, latents, geometry, pairs, intrinsics):
        shape = (latents.patches.shape[0], len(pairs), *latents.image_size)
        return Flow(self.value.expand(*shape, 2), torch.ones(shape, dtype=torch.bool))
"""


def test_the_four_are_known():
    four = {"3d-sup", "flow-projective", "flow-tracking", "flow-factored"}
    assert four <= set(formulation_names())


@pytest.fixture
def fifth(tmp_path, monkeypatch):
    """The package with one more file in it."""
    (tmp_path / "constant.py").write_text(FIFTH)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    yield
    registry._REGISTRY.pop("flow-constant", None)
    sys.modules.pop("flow3r.formulations.constant", None)
    package.__dict__.pop("constant", None)


@pytest.mark.usefixtures("fifth")
def test_a_fifth_formulation_is_one_new_file(tiny):
    assert "flow-constant" in formulation_names()
    model = build_model(tiny, FormulationConfig("flow-constant", {"value": 7.0}), seed=0)
    flow = model(torch.rand(1, 2, 3, 32, 32), torch.tensor([[0, 1]])).flow
    assert torch.equal(flow.target_px, torch.full((1, 1, 32, 32, 2), 7.0))


def test_an_unknown_name_lists_the_choices(tiny):
    with pytest.raises(ConfigError, match=r"flow-factord.*3d-sup.*flow-tracking"):
        create_formulation("flow-factord", {}, tiny)
    with pytest.raises(ConfigError, match="choose one of"):
        FormulationConfig("nothing")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("3d-sup", {"x": 1}, "formulation.options.x: unknown setting"),
        ("flow-projective", {"intrinsics": "guessed"}, r"guessed.*recovered.*given"),
        ("flow-projective", {"limit": 0.0}, "limit=0.0"),
        ("flow-tracking", {"steps": 0}, "steps=0"),
        ("flow-tracking", {"temperature": 0.0}, "temperature=0.0"),
        ("flow-factored", {"hidden": "8"}, "expected int"),
        ("flow-factored", {"ladder": [3.0, 2.0, 1.0, 0.5]}, "ladder="),
        ("flow-factored", {"channel_ratios": [1.0]}, "four positive numbers"),
    ],
)
def test_wrong_options_are_refused(tiny, name, options, message):
    with pytest.raises(ConfigError, match=message):
        create_formulation(name, options, tiny)


def test_two_formulations_cannot_share_a_name():
    class Impostor(Formulation):
        name = "3d-sup"

    with pytest.raises(ValueError, match="two formulations are named '3d-sup'"):
        registry.register(dict)(Impostor)
