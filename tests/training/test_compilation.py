"""torch.compile for the blocks: names stay, values stay within rounding."""

import copy

import pytest
import torch

from flow3r.errors import ConfigError
from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.blocks import set_checkpointing
from flow3r.model.config import PRESETS
from flow3r.training.compilation import compile_blocks

TOLERANCE = 1e-5
"""Relative, in float32: fusing changes the order of additions."""


def relative_error(ours, reference):
    return float((ours - reference).norm() / reference.norm())


def outputs_and_gradients(model):
    images = torch.rand(1, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    prediction = model.train()(images, torch.tensor([[0, 1]]))
    points, flow = prediction.geometry.points, prediction.flow.target_px
    (points.square().mean() + flow.square().mean()).backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    with torch.inference_mode():
        more = model.eval()(torch.cat([images, images])).geometry.points
    return {"points": points.detach(), "flow": flow.detach(), "evaluated": more, **gradients}


def compare(backend, checkpointing):
    plain = build_model(PRESETS["pi3-smoke"](), FormulationConfig("flow-factored"), seed=0)
    compiled = copy.deepcopy(plain)
    set_checkpointing(compiled, checkpointing)
    compile_blocks(compiled, backend=backend)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    expected, actual = outputs_and_gradients(plain), outputs_and_gradients(compiled)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert relative_error(actual[name], value) < TOLERANCE, name


@pytest.mark.slow
def test_values_and_gradients_are_those_of_the_plain_model():
    compare("aot_eager", checkpointing=True)


@pytest.mark.slow
def test_the_default_backend_where_it_works():
    try:
        compare("inductor", checkpointing=False)
    except ConfigError as error:
        pytest.skip(str(error))


def test_a_missing_compiler_is_one_clear_error(monkeypatch):
    def broken(function, backend):
        def call(*args):
            raise RuntimeError("no working C++ compiler\nmore")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(ConfigError, match=r"training.compile=true.*no working C\+\+ compiler"):
        compile_blocks(torch.nn.Linear(2, 2))
