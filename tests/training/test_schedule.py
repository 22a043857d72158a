"""Learning rate and optimiser groups against closed forms."""

import math

import pytest
import torch
from torch import nn

from flow3r.training.config import OptimiserConfig, StageConfig, TrainingConfig
from flow3r.training.schedule import build_optimiser, learning_rate

STAGE = StageConfig("joint", steps=110, lr=2.0, warmup_steps=10)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.2), (4, 1.0), (9, 2.0), (10, 2.0), (60, 1.01), (110, 0.02)],
)
def test_warm_up_then_cosine(step, expected):
    assert learning_rate(step, STAGE, final_share=0.01) == pytest.approx(expected)


def test_the_cosine_at_a_quarter():
    expected = 2 * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi / 4)))
    assert learning_rate(35, STAGE, final_share=0.01) == pytest.approx(expected)


def test_vectors_are_not_decayed_and_frozen_parameters_are_left_out():
    module = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Linear(2, 2))
    module[2].requires_grad_(False)
    optimiser = build_optimiser(module, OptimiserConfig(weight_decay=0.1))
    decayed, plain = optimiser.param_groups
    assert decayed["weight_decay"] == 0.1
    assert [p.shape for p in decayed["params"]] == [torch.Size([2, 3])]
    assert plain["weight_decay"] == 0.0
    assert len(plain["params"]) == 3


def test_steps_are_located_in_their_stage():
    config = TrainingConfig((StageConfig("a", 2, 1.0, 0), StageConfig("b", 3, 1.0, 0)))
    assert [config.locate(s)[0].name for s in range(5)] == ["a", "a", "b", "b", "b"]
    assert [config.locate(s)[1] for s in range(5)] == [0, 0, 2, 2, 2]
    with pytest.raises(IndexError):
        config.locate(5)
