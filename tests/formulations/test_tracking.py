"""The matching head: it finds a known shift, looks up what it says, reads patches only."""

import math

import torch

from flow3r.formulations.tracking import MatchingHead, TrackingConfig, look_up
from flow3r.model.outputs import Geometry, Latents


def test_finds_a_shift_by_whole_patches_before_any_training():
    head = MatchingHead(TrackingConfig(features=64, temperature=0.02), width=64, patch_size=8)
    torch.nn.init.eye_(head.match.weight)
    torch.nn.init.zeros_(head.match.bias)
    scene = torch.randn(1, 6, 8, 64)
    frames = torch.stack([scene[:, :, 1:7], scene[:, :, :6]], dim=1)  # content moves right by one
    flow = head(frames.flatten(2, 3), torch.tensor([[0, 1], [1, 0]]), (6, 6))
    assert flow.shape == (1, 2, 48, 48, 2)
    right = torch.tensor([8.0, 0.0])
    inside = flow[0, 0, 4:-4, 4:-20]  # patches whose match lies in the other frame
    torch.testing.assert_close(inside, right.expand_as(inside), rtol=0, atol=0.2)
    inside = flow[0, 1, 4:-4, 20:-4]
    torch.testing.assert_close(inside, -right.expand_as(inside), rtol=0, atol=0.2)


def test_learns_a_constant_correction_per_pixel():
    head = MatchingHead(TrackingConfig(features=16), width=16, patch_size=4)
    patches = torch.randn(1, 2, 9, 16)
    goal = torch.randn(1, 1, 12, 12, 2)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    errors = []
    for _ in range(60):
        loss = (head(patches, torch.tensor([[0, 1]]), (3, 3)) - goal).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(float(loss.detach()))
    assert errors[-1] < 0.1 * errors[0]


def test_look_up_at_whole_positions_is_indexing_with_zeros_outside():
    volume = torch.randn(3, 1, 4, 5)
    position = torch.tensor([[[2.0, 1.0], [0.0, 0.0], [4.0, 3.0]]])  # (x, y)
    window = look_up(volume, position, radius=1).view(3, 3, 3)
    torch.testing.assert_close(window[0], volume[0, 0, 0:3, 1:4])
    expected = torch.zeros(3, 3)
    expected[1:, 1:] = volume[1, 0, :2, :2]
    torch.testing.assert_close(window[1], expected)
    expected = torch.zeros(3, 3)
    expected[:2, :2] = volume[2, 0, 2:, 3:]
    torch.testing.assert_close(window[2], expected)


def test_look_up_halfway_is_the_mean_of_four():
    volume = torch.randn(1, 1, 4, 4)
    value = look_up(volume, torch.tensor([[[1.5, 2.5]]]), radius=1)[0, 0, 4]
    torch.testing.assert_close(value, volume[0, 0, 2:4, 1:3].mean())


def test_reads_the_patch_features_only(build, all_pairs):
    tracking = build("flow-tracking").formulation
    patches = torch.randn(2, 3, 24, 32, requires_grad=True)
    latents = Latents(None, None, patches, (4, 6), (32, 48))
    flow = tracking(latents, Geometry(None, None, None), all_pairs, None)
    assert flow.target_px.shape == (2, 6, 32, 48, 2)
    assert flow.valid.all()
    flow.target_px.square().mean().backward()
    assert (patches.grad.flatten(2).abs().sum(-1) > 0).all()


def test_first_temperature_is_the_configured_one():
    head = MatchingHead(TrackingConfig(temperature=0.05), width=16, patch_size=4)
    assert math.isclose(head.log_scale.exp().item(), 20.0, rel_tol=1e-5)
