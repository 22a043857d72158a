"""Activation checkpointing: same bits, fewer activations."""

import pytest
import torch

from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.blocks import set_checkpointing
from flow3r.model.config import PRESETS


def step(model, precision=None):
    """Loss, gradients by name, and the bytes kept for the backward pass."""
    images = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.zero_grad(set_to_none=True)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision is not None),
    ):
        prediction = model(images, torch.tensor([[0, 1]]))
        geometry = prediction.geometry
        loss = geometry.points.square().mean() + geometry.confidence.square().mean()
        loss = loss + prediction.flow.target_px.square().mean()
    loss.backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return loss.detach(), gradients, sum(kept.values())


@pytest.mark.parametrize("precision", [None, "bfloat16"])
@pytest.mark.parametrize("name", ["pi3-smoke", "vggt-smoke"])
def test_changes_no_bit_and_keeps_less(name, precision):
    model = build_model(PRESETS[name](), FormulationConfig("flow-factored"), seed=0).train()
    loss, gradients, kept = step(model, precision)
    set_checkpointing(model, True)
    again, recomputed, fewer = step(model, precision)
    assert torch.equal(loss, again)
    assert gradients.keys() == recomputed.keys()
    assert all(torch.equal(gradients[n], recomputed[n]) for n in gradients)
    assert fewer < 0.8 * kept  # the heads keep theirs


def test_is_for_training_only(monkeypatch):
    model = build_model(PRESETS["pi3-smoke"](), FormulationConfig("3d-sup"), seed=0).eval()
    set_checkpointing(model, True)
    monkeypatch.setattr("flow3r.model.blocks.checkpoint", lambda *a, **k: pytest.fail("used"))
    model(torch.rand(1, 2, 3, 32, 32))
    with torch.no_grad():
        model.train()(torch.rand(1, 2, 3, 32, 32))
