"""Attention: both kernels against a loop, the cross-frame mask, qk-norm."""

import pytest
import torch
from torch.nn import functional

from flow3r.model import attention
from flow3r.model.attention import (
    Attention,
    cross_frame_bias,
    sdpa_attention,
    softmax_attention,
)
from flow3r.model.config import BlockConfig
from flow3r.model.rope import patch_positions, rotary


def block_config(**changes):
    values = {
        "width": 16,
        "heads": 2,
        "mlp_ratio": 2.0,
        "norm_eps": 1e-6,
        "attention": "sdpa",
        "qk_norm_eps": 1e-5,
    }
    return BlockConfig(**{**values, **changes})


def slow_attention(module, x, table, bias):
    """One head at a time, from the parameters."""
    outputs = []
    q, k, v = (x @ module.qkv.weight.T + module.qkv.bias).chunk(3, dim=-1)
    for head in range(module.heads):
        part = slice(head * 8, head * 8 + 8)
        query = functional.layer_norm(
            q[..., part], (8,), module.q_norm.weight, module.q_norm.bias, 1e-5
        )
        key = functional.layer_norm(
            k[..., part], (8,), module.k_norm.weight, module.k_norm.bias, 1e-5
        )
        scores = table.apply(query) @ table.apply(key).transpose(1, 2) / 8**0.5 + bias[head]
        outputs.append(scores.softmax(dim=-1) @ v[..., part])
    return torch.cat(outputs, dim=-1) @ module.proj.weight.T + module.proj.bias


@pytest.mark.parametrize("kind", ["sdpa", "softmax"])
def test_matches_the_slow_reference_with_gradients(kind):
    module = Attention(block_config(attention=kind))
    for norm in (module.q_norm, module.k_norm):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    table = rotary(patch_positions((1, 3), 1, torch.device("cpu")), 8).repeat(2)
    bias = cross_frame_bias(2, 4, 2, 1, torch.device("cpu"))
    x = torch.randn(2, 8, 16, requires_grad=True)
    weight = torch.randn(2, 8, 16)
    ours, slow = module(x, table, bias), slow_attention(module, x, table, bias)
    torch.testing.assert_close(ours, slow, rtol=1e-5, atol=1e-5)
    gradient = torch.autograd.grad((ours * weight).sum(), [x, *module.parameters()])
    expected = torch.autograd.grad((slow * weight).sum(), [x, *module.parameters()])
    for a, b in zip(gradient, expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_the_two_kernels_agree(masked):
    q, k, v = torch.randn(3, 2, 4, 10, 8)
    bias = cross_frame_bias(2, 5, 4, 2, torch.device("cpu")) if masked else None
    torch.testing.assert_close(sdpa_attention(q, k, v, bias), softmax_attention(q, k, v, bias))


def test_cross_frame_heads_ignore_their_own_frame():
    bias = cross_frame_bias(3, 2, 4, 2, torch.device("cpu"))
    allowed = bias == 0
    frame = torch.arange(6) // 2
    assert torch.equal(allowed[0], frame[:, None] != frame[None, :])
    assert torch.equal(allowed[1], allowed[0])
    assert allowed[2:].all()


def test_no_mask_for_one_frame_or_without_such_heads():
    assert cross_frame_bias(1, 5, 4, 2, torch.device("cpu")) is None
    assert cross_frame_bias(3, 5, 4, 0, torch.device("cpu")) is None


@pytest.mark.parametrize("cross_heads", [1, 2, 4])
def test_long_sequences_are_masked_without_a_mask(cross_heads, monkeypatch):
    """The same values and gradients, frame by frame."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 4, 15, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    inputs = [x.requires_grad_() for x in (q, k, v)]
    written = cross_frame_bias(3, 5, 4, cross_heads, torch.device("cpu"))
    monkeypatch.setattr(attention, "LARGEST_BIAS", 899)
    rule = cross_frame_bias(3, 5, 4, cross_heads, torch.device("cpu"))
    expected = sdpa_attention(q, k, v, written)
    found = rule.attend(q, k, v, rule)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((found * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
    ):
        torch.testing.assert_close(a, b)
