"""Settings that make training cheaper reach the blocks, and are where the README says they are."""

import pytest
import torch

from experiments.acceleration import accelerate
from experiments.compose import compose
from experiments.identity import run_id
from experiments.spec import parse_spec
from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.blocks import Block
from flow3r.model.config import PRESETS


def blocks(model):
    return [m for m in model.modules() if isinstance(m, Block)]


@pytest.fixture
def model():
    return build_model(PRESETS["pi3-smoke"](), FormulationConfig("3d-sup"), seed=0)


def test_nothing_is_switched_on_by_default(model):
    composed = compose(["profile=smoke"])
    training = parse_spec(composed.spec).training
    accelerate(model, training, composed.runtime, torch.device("cpu"))
    assert not any(block.checkpointing for block in blocks(model))
    assert not any(block._compiled_call_impl for block in blocks(model))
    accelerate(model, training, {"device": "cpu"}, torch.device("cpu"))  # an older spec.json


def test_checkpointing_is_no_part_of_a_run_and_compilation_is(model, monkeypatch):
    plain = compose(["profile=smoke"])
    checkpointing = compose(["profile=smoke", "runtime.activation_checkpointing=true"])
    compiled = compose(["profile=smoke", "training.compile=true"])
    assert run_id(checkpointing.spec) == run_id(plain.spec)
    assert run_id(compiled.spec) != run_id(plain.spec)
    used = []
    monkeypatch.setattr(
        "flow3r.training.compilation.compile_blocks", lambda *arguments: used.append(arguments)
    )
    for composed in (checkpointing, compiled):
        training = parse_spec(composed.spec).training
        accelerate(model, training, composed.runtime, torch.device("cpu"))
    assert used == [(model, torch.device("cpu"))]
    assert not any(block.checkpointing for block in blocks(model))  # the last one switched it off
    accelerate(model, parse_spec(plain.spec).training, checkpointing.runtime, torch.device("cpu"))
    assert all(block.checkpointing for block in blocks(model))


def test_the_paper_config_freezes_the_encoder_as_pi3_does(tmp_path):
    weights = tmp_path / "released.safetensors"
    weights.write_bytes(b"its content is not looked at")
    spec = compose(["profile=paper", f"initialisation.weights={weights}"]).spec
    assert {s["name"]: s["trains"] for s in spec["training"]["stages"]} == {
        "head": "flow-head",
        "joint": "all-but-encoder",
    }
