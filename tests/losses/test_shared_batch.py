"""A batch shared by several processes: their terms and gradients add up to those of the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from flow3r.data.clip import LabelledClips, PairFlow
from flow3r.geometry.camera import unproject
from flow3r.geometry.rotation import rotation_from_nine
from flow3r.geometry.se3 import make_transform
from flow3r.losses.flow import flow_loss
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.model.outputs import Flow, Geometry

B, N, P, H, W = 4, 3, 6, 8, 10
CONFIG = LossConfig(translation_direction_weight=0.5)
SHARES = [[[0, 1], [2, 3]], [[0, 2, 3], [], [1]], [[0], [1], [2], [3]]]
"""Which clips each process has. One each is the slow reference: a loop over the clips."""


def _poses(generator: torch.Generator) -> Tensor:
    nine = torch.eye(3).flatten() + 0.3 * torch.randn(B, N, 9, generator=generator)
    return make_transform(rotation_from_nine(nine), torch.randn(B, N, 3, generator=generator))


@pytest.fixture
def labelled() -> LabelledClips:
    """Clips with unequally many valid pixels, one without any."""
    generator = torch.Generator().manual_seed(0)
    k = torch.tensor([[9.0, 0, 4.5], [0, 9, 3.5], [0, 0, 1]]).expand(B, N, 3, 3)
    depth = 2 + 0.05 * torch.rand(B, N, H, W, generator=generator)
    depth[0, :, :5] = 0
    depth[1] = 0
    flow = PairFlow(
        torch.arange(2 * P).reshape(P, 2) % N,
        10 * torch.rand(B, P, H, W, 2, generator=generator),
        torch.rand(B, P, H, W, generator=generator) * torch.arange(B)[:, None, None, None],
    )
    return LabelledClips(torch.zeros(B, N, 3, H, W), depth, k, _poses(generator), flow)


@pytest.fixture
def geometry(labelled) -> Geometry:
    generator = torch.Generator().manual_seed(1)
    points = unproject(labelled.depth.clamp_min(1), labelled.intrinsics)
    return Geometry(
        points + 0.02 * torch.randn(points.shape, generator=generator),
        torch.randn(B, N, H, W, generator=generator),
        _poses(generator),
        predicted_points=torch.randn(B, N, H, W, 3, generator=generator),
    )


def shared(losses: Callable, shares: list[list[int]]) -> list[dict[str, Tensor]]:
    """`losses(clips, total)` of every process: once to count, once with the sums of the counts."""
    counts: list[list[Tensor]] = []
    for clips in shares:
        counts.append([])
        losses(clips, lambda count, seen=counts[-1]: (seen.append(count), count)[1])
    totals = [torch.stack(of_all).sum(0) for of_all in zip(*counts, strict=True)]
    results = []
    for clips in shares:
        remaining = iter(totals)
        results.append(losses(clips, lambda count, left=remaining: next(left)))
    return results


def _picked(value, clips: list[int]):
    changes = {
        f.name: getattr(value, f.name)[clips]
        for f in fields(value)
        if isinstance(getattr(value, f.name), Tensor) and f.name != "pairs"
    }
    if isinstance(value, LabelledClips):
        changes["flow"] = _picked(value.flow, clips)
    return replace(value, **changes)


def _leaves(value):
    changes = {
        f.name: getattr(value, f.name).detach().clone().requires_grad_()
        for f in fields(value)
        if isinstance(getattr(value, f.name), Tensor) and getattr(value, f.name).is_floating_point()
    }
    return replace(value, **changes)


def _gradients(value) -> list[Tensor]:
    leaves = (getattr(value, f.name) for f in fields(value))
    return [leaf.grad for leaf in leaves if isinstance(leaf, Tensor) and leaf.requires_grad]


@pytest.mark.parametrize("shares", SHARES)
def test_supervised_terms_add_up(shares, geometry, labelled):
    whole = _leaves(geometry)
    expected = supervised_loss(whole, labelled, CONFIG)
    expected["total"].backward()
    leaves = _leaves(geometry)

    def losses(clips, total):
        return supervised_loss(_picked(leaves, clips), _picked(labelled, clips), CONFIG, total)

    results = shared(losses, shares)
    assert expected.keys() >= {"points", "normals", "confidence", "camera_rotation", "world_points"}
    for name, value in expected.items():
        assert sum(r[name].item() for r in results) == pytest.approx(value.item(), rel=1e-6)
    for result in results:
        result["total"].backward()
    for found, right in zip(_gradients(leaves), _gradients(whole), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("shares", SHARES)
def test_flow_terms_add_up(shares, labelled):
    generator = torch.Generator().manual_seed(2)
    flow = Flow(
        10 * torch.rand(B, P, H, W, 2, generator=generator),
        torch.rand(B, P, H, W, generator=generator) > 0.2,
    )
    whole, leaves = _leaves(flow), _leaves(flow)
    expected = flow_loss(whole, labelled.flow, CONFIG)
    expected.backward()

    def losses(clips, total):
        target = _picked(labelled.flow, clips)
        return {"flow": flow_loss(_picked(leaves, clips), target, CONFIG, total)}

    results = shared(losses, shares)
    assert sum(r["flow"].item() for r in results) == pytest.approx(expected.item(), rel=1e-6)
    for result in results:
        result["flow"].backward()
    torch.testing.assert_close(leaves.target_px.grad, whole.target_px.grad, rtol=1e-5, atol=1e-9)


def test_without_clips_every_term_is_zero_and_every_leaf_has_a_gradient(geometry, labelled):
    """So a process without labelled clips has the same gradients as the others, of zero."""
    leaves = _leaves(geometry)
    terms = supervised_loss(_picked(leaves, []), _picked(labelled, []), CONFIG)
    assert all(value == 0 for value in terms.values())
    terms["total"].backward()
    assert all((gradient == 0).all() for gradient in _gradients(leaves))
    assert len(_gradients(leaves)) == 4
