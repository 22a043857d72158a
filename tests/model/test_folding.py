"""The folded enlargement against its two layers."""

import pytest
import torch
from torch import nn

from flow3r.model.folding import fold, folding_pays


def layers(side, channels=(5, 6, 7)):
    first, middle, last = channels
    return (
        nn.ConvTranspose2d(first, middle, side, stride=side),
        nn.Conv2d(middle, last, 3, padding=1, bias=False),
    )


@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize("grid", [(3, 4), (1, 1), (1, 3)])
def test_equals_the_two_layers_with_gradients(side, grid):
    enlarge, lateral = (layer.double() for layer in layers(side))
    x = torch.randn(2, 5, *grid, dtype=torch.float64, requires_grad=True)
    ours, apart = fold(enlarge, lateral)(x), lateral(enlarge(x))
    torch.testing.assert_close(ours, apart)
    weight = torch.randn_like(ours)
    wanted = [x, *enlarge.parameters(), *lateral.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad((ours * weight).sum(), wanted),
        torch.autograd.grad((apart * weight).sum(), wanted),
    )


def test_pays_from_a_number_of_tokens_that_follows_from_the_products():
    enlarge, lateral = layers(4, (256, 256, 256))
    # folding: 9 * 16 * 256^3; a token saves 16 * 256^2 + 144 * 256^2 - 36 * 256^2
    breakeven = 9 * 16 * 256 / 124
    assert not folding_pays(enlarge, lateral, int(breakeven))
    assert folding_pays(enlarge, lateral, int(breakeven) + 1)


def test_is_for_wide_enlargements_only():
    assert not folding_pays(*layers(4, (16, 16, 16)), 10**9)
    assert not folding_pays(nn.Identity(), nn.Conv2d(256, 256, 3), 10**9)
    assert not folding_pays(nn.Conv2d(256, 256, 3, stride=2), nn.Conv2d(256, 256, 3), 10**9)
