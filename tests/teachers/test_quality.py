"""The quality numbers against constructed errors; the forward-backward check against OpenCV's."""

import numpy as np
import pytest
import torch

from flow3r.geometry.camera import pixel_grid
from flow3r.teachers.base import FlowLabels
from flow3r.teachers.consistency import consistent
from flow3r.teachers.forward_backward import agreement
from flow3r.teachers.motion_edges import near_edges
from flow3r.teachers.quality import Quality, cycle_error
from flow3r.teachers.resizing import stretch_flow

H, W = 20, 30
GRID = pixel_grid(H, W)


def test_errors_shares_and_covisibility_of_a_constructed_case():
    target = GRID[None] + torch.tensor([1.0, 0.0])
    seen = torch.ones(1, H, W)
    seen[:, :, 20:] = 0  # a third is hidden
    moving = torch.zeros(1, H, W, dtype=torch.bool)
    moving[:, :, :10] = True
    own = target.clone()
    own[:, :, :5] += torch.tensor([3.0, 4.0])  # 5 px on a quarter of what is seen
    own[:, :, 20:] += 1000  # hidden pixels do not count
    kept = torch.zeros(1, H, W)
    kept[:, :, 5:25] = 1  # 15 of 20 seen columns, and 5 hidden ones
    quality = Quality()
    quality.add(FlowLabels(own, kept), target, seen, moving)
    found = quality.summary()
    expected = {
        "epe/all": 1.25,
        "epe/moving": 2.5,
        "epe/static": 0.0,
        "epe/kept": 0.0,
        "under_1px/all": 75.0,
        "under_3px/moving": 50.0,
        "covisibility_precision/all": 75.0,
        "covisibility_recall/all": 75.0,
        "covisibility_recall/moving": 50.0,
        "covisible_share/all": 200 / 3,
        "true_flow_mean_px": 1.0,
        "error_p50": 0.0,
        "error_p99": 5.0,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-4), name
    assert found["cycle_mean_px"] is None


def test_nothing_counted_is_none_not_nan():
    quality = Quality()
    nothing = torch.zeros(1, H, W)
    quality.add(FlowLabels(GRID[None], nothing), GRID[None], nothing, nothing.bool())
    assert quality.summary()["epe/all"] is None
    assert quality.summary()["covisibility_precision/all"] is None


@pytest.mark.parametrize(("smooth", "expected"), [(True, 1.0), (False, 0.0)])
def test_correlation_tells_smooth_errors_from_white_ones(smooth, expected):
    torch.manual_seed(0)
    error = torch.randn(1, 2) if smooth else torch.randn(1, H, W, 2)
    quality = Quality()
    ones = torch.ones(1, H, W)
    quality.add(FlowLabels(GRID[None] + error, ones), GRID[None], ones, ones.bool())
    assert quality.summary()["error_correlation_4px"] == pytest.approx(expected, abs=0.1)


def test_cycle_error_is_what_is_missing_on_the_way_back():
    shape = (1, H, W, 2)
    there = FlowLabels((GRID + torch.tensor([2.5, 1.0])).expand(shape), torch.ones(1, H, W))
    back = FlowLabels((GRID - torch.tensor([2.5, 1.7])).expand(shape), torch.ones(1, H, W))
    error = cycle_error(there, back).view(H, W)
    torch.testing.assert_close(error[:-2, :-3], torch.full((H - 2, W - 3), 0.7), atol=1e-4, rtol=0)


def test_agreement_is_the_check_of_the_dis_teacher():
    rng = np.random.default_rng(0)
    forward = rng.normal(0, 3, (4, H, W, 2)).astype(np.float32)
    backward = -forward + rng.normal(0, 0.4, forward.shape).astype(np.float32)
    forward[2], backward[2] = (2.0, 1.0), (-2.0, -1.2)
    found = agreement(torch.from_numpy(forward), torch.from_numpy(backward), 0.01, 0.5)
    expected = np.stack([consistent(f, b, 0.01, 0.5) for f, b in zip(forward, backward)])
    # OpenCV samples at 1/32 px.
    assert (found.numpy() != expected).mean() < 0.01
    assert expected.mean() > 0.2


def test_edges_are_next_to_jumps_and_hidden_pixels():
    flow = torch.zeros(1, H, W, 2)
    flow[:, :, 15:] = torch.tensor([3.0, 0.0])
    edges = near_edges(GRID[None] + flow, torch.ones(1, H, W))
    assert edges[0].any(0).nonzero()[:, 0].tolist() == list(range(11, 18))
    hidden = torch.ones(1, H, W)
    hidden[0, 10, 4] = 0
    assert near_edges(GRID[None], hidden).sum() == 49


def test_stretched_flow_scales_each_axis_with_its_side():
    flow = torch.tensor([2.0, 3.0])[None, :, None, None].expand(1, 2, 8, 10)
    found = stretch_flow(flow, (24, 20))
    torch.testing.assert_close(
        found, torch.tensor([4.0, 9.0])[None, :, None, None].expand(1, 2, 24, 20)
    )
