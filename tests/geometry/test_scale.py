"""The optimal scale against brute force."""

from __future__ import annotations

import pytest
import torch

from flow3r.geometry.scale import optimal_scale


def _objective(s: torch.Tensor, p: torch.Tensor, g: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return (w[:, :, None] * (s[:, None, None] * p - g).abs()).sum(dim=(1, 2))


def _problem(seed: int, batch: int = 16, count: int = 21) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    p = torch.randn(batch, count, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(batch, count, 3, generator=generator, dtype=torch.float64)
    g = 1.7 * p + noise * torch.logspace(-2, 1, batch)[:, None, None]
    w = torch.rand(batch, count, generator=generator, dtype=torch.float64)
    return p, g, w * (w > 0.2)


@pytest.mark.parametrize("seed", range(3))
def test_no_candidate_is_better(seed):
    p, g, w = _problem(seed)
    best = _objective(optimal_scale(p, g, w), p, g, w)
    # the objective is convex and piecewise linear: its minimum lies at one of the ratios
    candidates = (g / p).flatten(1)
    values = torch.stack([_objective(s, p, g, w) for s in candidates.unbind(1)])
    torch.testing.assert_close(best, values.amin(dim=0))


def test_finds_an_exact_scale_despite_outliers():
    p, _, w = _problem(0)
    g = 0.4 * p
    g[:, :5] = 100.0
    w = torch.ones_like(w)
    torch.testing.assert_close(optimal_scale(p, g, w), torch.full((16,), 0.4, dtype=torch.float64))


def test_zero_weights_and_zero_points_do_not_count():
    p, g, w = _problem(0)
    expected = optimal_scale(p[:, :10], g[:, :10], w[:, :10])
    w[:, 10:] = 0
    p[:, 12] = 0.0
    torch.testing.assert_close(optimal_scale(p, g, w), expected)
    padded = torch.cat([p[:, :10], torch.zeros(16, 4, 3)], 1), torch.cat([g[:, :10], g[:, :4]], 1)
    torch.testing.assert_close(
        optimal_scale(*padded, torch.cat([w[:, :10], torch.ones(16, 4)], 1)), expected
    )


def test_nothing_to_align_gives_one():
    p, g, w = _problem(0)
    assert optimal_scale(p, g, torch.zeros_like(w)).tolist() == [1.0] * 16
    assert optimal_scale(torch.zeros_like(p), g, w).tolist() == [1.0] * 16


def test_holding_the_scale_constant_gives_the_true_gradient_of_the_minimum():
    p, g, w = _problem(1, batch=1)
    p.requires_grad_()
    _objective(optimal_scale(p, g, w), p, g, w).sum().backward()
    step = 1e-7 * torch.randn(p.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        plus, minus = p + step, p - step
        difference = (
            _objective(optimal_scale(plus, g, w), plus, g, w)
            - _objective(optimal_scale(minus, g, w), minus, g, w)
        ).sum() / 2
        # all but the one term that sits on its kink
        on_kink = (optimal_scale(p, g, w) * p - g).abs() < 1e-12
    assert on_kink.sum() == 1
    expected = (p.grad * step).sum()
    slack = (w[:, :, None] * 1.7 * 2 * step.abs() * on_kink).sum() + 1e-12
    assert (difference - expected).abs() <= 3 * slack
