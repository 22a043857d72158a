"""RoPE against a slow reference written from its definition."""

import math
import sys

import pytest
import torch

from flow3r.model.config import PRESETS
from flow3r.model.pi3.task_decoder import TaskDecoder
from flow3r.model.reconstruction import create_reconstruction
from flow3r.model.rope import patch_positions, rotary


def slow_rotation(vector, y, x):
    """Rotate one head vector pair by pair: y half then x half, pairs (c, c + d/4) in each half."""
    out = vector.clone()
    half = len(vector) // 2
    quarter = half // 2
    for start, position in ((0, y), (half, x)):
        for c in range(quarter):
            angle = position * 100.0 ** (-2 * c / half)
            a, b = vector[start + c], vector[start + quarter + c]
            out[start + c] = a * math.cos(angle) - b * math.sin(angle)
            out[start + quarter + c] = a * math.sin(angle) + b * math.cos(angle)
    return out


def test_matches_the_definition_on_every_token():
    positions = patch_positions((3, 4), 2, torch.device("cpu"))
    x = torch.randn(2, 14, 16, dtype=torch.float64)
    rotated = rotary(positions, 16).apply(x)
    for b in range(2):
        for t, (row, column) in enumerate(positions.tolist()):
            expected = slow_rotation(x[b, t], row, column)
            torch.testing.assert_close(rotated[b, t], expected, rtol=1e-5, atol=1e-5)


def test_positions_start_at_one_and_special_tokens_are_left_alone():
    positions = patch_positions((2, 3), 2, torch.device("cpu"))
    assert positions.tolist() == [[0, 0], [0, 0], [1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]
    x = torch.randn(1, 8, 8)
    rotated = rotary(positions, 8).apply(x)
    assert torch.equal(rotated[:, :2], x[:, :2])
    assert not torch.allclose(rotated[:, 2:], x[:, 2:])


def test_scores_depend_on_the_relative_position_only():
    q, k = torch.randn(2, 1, 8, dtype=torch.float64)
    table = rotary(torch.tensor([[1, 2], [3, 5], [11, 12], [13, 15]]), 8)
    turned_q, turned_k = table.apply(q.expand(4, 8)), table.apply(k.expand(4, 8))
    near, far = turned_q[0] @ turned_k[1], turned_q[2] @ turned_k[3]
    torch.testing.assert_close(near, far, rtol=1e-5, atol=1e-5)


def test_repeat_gives_every_frame_the_same_positions():
    table = rotary(patch_positions((2, 2), 1, torch.device("cpu")), 8)
    x = torch.randn(1, 5, 8)
    twice = table.repeat(2).apply(torch.cat([x, x], dim=1))
    assert torch.equal(twice[:, :5], twice[:, 5:])
    assert torch.equal(twice[:, :5], table.apply(x))


def test_gradient_is_the_inverse_rotation():
    positions = patch_positions((2, 2), 0, torch.device("cpu"))
    x = torch.randn(4, 8, requires_grad=True)
    table = rotary(positions, 8)
    table.apply(x).backward(table.apply(torch.ones(4, 8)))
    torch.testing.assert_close(x.grad, torch.ones(4, 8))


def test_keeps_half_precision():
    table = rotary(patch_positions((2, 2), 0, torch.device("cpu")), 8)
    assert table.apply(torch.randn(4, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_is_made_in_the_dtype_of_autocast_with_exact_angles():
    positions = patch_positions((5, 37), 1, torch.device("cpu"))
    exact = rotary(positions, 16)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = rotary(positions, 16)
    for name in ("cos", "sin", "partner"):
        assert torch.equal(getattr(rounded, name), getattr(exact, name).bfloat16())


@pytest.mark.parametrize("name", ["pi3-smoke", "vggt-smoke"])
def test_no_block_makes_a_table_of_its_own(name, monkeypatch):
    model = create_reconstruction(PRESETS[name]())
    made = []
    for module in list(sys.modules.values()):
        if getattr(module, "rotary", None) is rotary and module.__name__.startswith("flow3r."):
            monkeypatch.setattr(module, "rotary", lambda *a: made.append(1) or rotary(*a))
    model(torch.rand(1, 2, 3, 32, 32))
    decoders = sum(isinstance(module, TaskDecoder) for module in model.modules())
    assert len(made) == 1 + decoders
