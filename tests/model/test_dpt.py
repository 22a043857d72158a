"""The DPT head: the released quirks, its embedding, its shapes."""

import math

import pytest
import torch
from torch import nn

from flow3r.model.dpt import DptHead, DptSizes, ResidualConvUnit, coordinate_embedding


class InPlaceUnit(nn.Module):
    """The released unit as written there: one in-place ReLU shared by both activations."""

    def __init__(self, conv1, conv2):
        super().__init__()
        self.conv1, self.conv2, self.activation = conv1, conv2, nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.activation(x)
        out = self.activation(self.conv1(out))
        return self.conv2(out) + x


def test_residual_unit_equals_the_in_place_original_with_gradients():
    unit = ResidualConvUnit(8)
    original = InPlaceUnit(unit.conv1, unit.conv2)
    x = torch.randn(2, 8, 5, 6, requires_grad=True)
    ours, theirs = unit(x), original(x.clone())
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    a = torch.autograd.grad((ours * weight).sum(), [x, *unit.parameters()])
    b = torch.autograd.grad((theirs * weight).sum(), [x, *unit.parameters()])
    for first, second in zip(a, b):
        torch.testing.assert_close(first, second)


def test_embedding_at_a_hand_computed_place():
    embedding = coordinate_embedding(8, (3, 4), (60, 80), torch.device("cpu"))
    assert embedding.shape == (8, 3, 4)
    aspect = 80 / 60
    x = aspect / math.hypot(aspect, 1) * 3 / 4  # right edge, shrunk by (w - 1) / w
    y = -1 / math.hypot(aspect, 1) * 2 / 3  # top edge
    expected = []
    for function, value in ((math.sin, x), (math.cos, x), (math.sin, y), (math.cos, y)):
        expected += [function(value), function(value * 100 ** (-1 / 2))]
    torch.testing.assert_close(embedding[:, 0, 3], torch.tensor(expected))


@pytest.mark.parametrize("ladder", [(4.0, 2.0, 1.0, 0.5), (2.0, 1.0), (2.0,), (1.0,)])
def test_any_number_of_levels_gives_the_image_size(ladder):
    channels = (8, 12, 16, 16)[: len(ladder)]
    head = DptHead(DptSizes(16, 8, channels, ladder, hidden=4, outputs=3))
    levels = [torch.randn(2, 12, 16, requires_grad=True) for _ in ladder]
    out = head(levels, (3, 4), (24, 32))
    assert out.shape == (2, 3, 24, 32)
    out.square().mean().backward()
    assert all(level.grad.abs().sum() > 0 for level in levels)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
