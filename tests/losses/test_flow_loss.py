"""The flow loss: values, weights, masks, resolution."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from flow3r.data.clip import PairFlow
from flow3r.losses.config import LossConfig
from flow3r.losses.flow import flow_loss
from flow3r.model.outputs import Flow

B, P, H, W = 2, 3, 5, 8
CONFIG = LossConfig()
PAIRS = torch.tensor([[0, 1], [1, 0], [0, 2]])


def _example(seed: int = 0) -> tuple[Flow, PairFlow]:
    generator = torch.Generator().manual_seed(seed)
    predicted, label = (
        8 * torch.rand(2, B, P, H, W, 2, generator=generator, dtype=torch.float64)
    ).unbind()
    covisibility = torch.rand(B, P, H, W, generator=generator, dtype=torch.float64)
    covisibility = covisibility * (covisibility > 0.3)
    valid = torch.rand(B, P, H, W, generator=generator) > 0.2
    return Flow(predicted, valid), PairFlow(PAIRS, label, covisibility)


def test_matches_a_loop():
    flow, target = _example()
    numerator = denominator = 0.0
    for index in torch.cartesian_prod(*(torch.arange(n) for n in (B, P, H, W))).tolist():
        b, p, y, x = index
        error = (flow.target_px[b, p, y, x] - target.target_px[b, p, y, x]) / max(H, W)
        rho = (error @ error + CONFIG.charbonnier_epsilon**2).sqrt()
        c = target.covisibility[b, p, y, x] * flow.valid[b, p, y, x]
        numerator, denominator = numerator + c * rho, denominator + c
    torch.testing.assert_close(flow_loss(flow, target, CONFIG), numerator / denominator)


def test_gradient():
    flow, target = _example()
    leaf = flow.target_px.requires_grad_()
    assert gradcheck(lambda px: flow_loss(Flow(px, flow.valid), target, CONFIG), leaf)
    flow_loss(flow, target, CONFIG).backward()
    ignored = (target.covisibility == 0) | ~flow.valid
    assert (leaf.grad[ignored] == 0).all()
    assert (leaf.grad[~ignored] != 0).all()


def test_perfect_flow_costs_epsilon_and_has_no_gradient():
    flow, target = _example()
    leaf = target.target_px.clone().requires_grad_()
    loss = flow_loss(Flow(leaf, flow.valid), target, CONFIG)
    assert loss.item() == pytest.approx(CONFIG.charbonnier_epsilon)
    loss.backward()
    assert (leaf.grad == 0).all()


def test_the_resolution_does_not_matter():
    flow, target = _example()

    def enlarged(x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    large = flow_loss(
        Flow(2 * enlarged(flow.target_px), enlarged(flow.valid)),
        PairFlow(PAIRS, 2 * enlarged(target.target_px), enlarged(target.covisibility)),
        CONFIG,
    )
    torch.testing.assert_close(large, flow_loss(flow, target, CONFIG))


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_labels_without_covisibility_may_hold_anything(garbage):
    flow, target = _example()
    expected = flow_loss(flow, target, CONFIG)
    label = torch.where((target.covisibility == 0)[..., None], garbage, target.target_px).float()
    predicted = flow.target_px.float().requires_grad_()
    loss = flow_loss(
        Flow(predicted, flow.valid), PairFlow(PAIRS, label, target.covisibility.float()), CONFIG
    )
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-7)
    loss.backward()
    assert torch.isfinite(predicted.grad).all()


def test_nothing_covisible_is_zero():
    flow, target = _example()
    leaf = flow.target_px.requires_grad_()
    for valid, covisibility in (
        (flow.valid, torch.zeros_like(target.covisibility)),
        (torch.zeros_like(flow.valid), target.covisibility),
    ):
        leaf.grad = None
        target = PairFlow(PAIRS, target.target_px, covisibility)
        loss = flow_loss(Flow(leaf, valid), target, CONFIG)
        loss.backward()
        assert loss == 0
        assert (leaf.grad == 0).all()


def test_far_predictions_keep_a_bounded_gradient():
    flow, target = _example()
    leaf = torch.full_like(flow.target_px, 1e7).float().requires_grad_()
    loss = flow_loss(Flow(leaf, flow.valid), target, CONFIG)
    loss.backward()
    assert torch.isfinite(loss)
    assert leaf.grad.abs().sum() <= 2 / max(H, W)


def test_half_precision_is_raised():
    flow, target = _example()
    half = Flow(flow.target_px.bfloat16(), flow.valid)
    loss = flow_loss(half, PairFlow(PAIRS, half.target_px, target.covisibility.half()), CONFIG)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(CONFIG.charbonnier_epsilon, rel=1e-3)
