"""The factored head: the split first layer, what it reads, its convention."""

import pytest
import torch

from experiments.benchmarks.references import concatenating_fuse, concatenating_head
from flow3r.formulations.factored import FactoredConfig, FactoredHead
from flow3r.geometry.camera import pixel_grid
from flow3r.model import dpt
from flow3r.model.folding import folding_pays
from flow3r.model.outputs import Geometry, Latents


def random_latents(levels=4, frames=3, width=16):
    def draw():
        return tuple(torch.randn(2, frames, 24, width, requires_grad=True) for _ in range(levels))

    patches = torch.randn(2, frames, 24, 2 * width, requires_grad=True)
    return Latents(draw(), draw(), patches, grid=(4, 6), image_size=(32, 48))


def no_geometry():
    """The factored head must not touch it."""
    return Geometry(None, None, None)


def relative_error(ours, reference):
    return float((ours - reference).norm() / reference.norm())


def values_and_gradients(function, inputs, parameters):
    """The output and the gradients of a weighted sum of it."""
    output = function(*inputs)
    weight = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).to(output)
    wanted = [*(t for value in inputs for t in value), *parameters]
    return output.detach(), torch.autograd.grad((output * weight).sum(), wanted)


@pytest.mark.parametrize("own_pairs", [False, True])
def test_the_split_layer_equals_the_concatenation_with_gradients(build, all_pairs, own_pairs):
    head = build("flow-factored").formulation.head
    pairs = torch.stack([all_pairs, all_pairs.flip(0)]) if own_pairs else all_pairs
    inputs = [[torch.randn(2, 3, 24, 16, requires_grad=True)] for _ in range(2)]
    parameters = [*head.mlp.parameters(), *head.norm.parameters()]

    def fast(camera, geometry):
        return head.fuse(camera[0], geometry[0], pairs)

    def plain(camera, geometry):
        return concatenating_fuse(head, camera[0], geometry[0], pairs)

    ours, slow = (values_and_gradients(f, inputs, parameters) for f in (fast, plain))
    assert relative_error(ours[0], slow[0]) < 1e-5
    assert all(relative_error(a, b) < 1e-5 for a, b in zip(ours[1], slow[1]))


@pytest.mark.parametrize("width", [16, 256])
def test_the_whole_head_equals_the_released_operations_with_gradients(all_pairs, width):
    """256 channels are enough for the reordered and folded convolutions, 16 are not."""
    head = FactoredHead(FactoredConfig(), width, levels=4).double()
    layers = list(zip(head.resize_layers[:2], (head.scratch.layer1_rn, head.scratch.layer2_rn)))
    tokens = 2 * len(all_pairs) * 12
    assert [folding_pays(*pair, tokens) for pair in layers] == [width == 256, False]
    inputs = [
        [torch.randn(2, 3, 12, width, dtype=torch.float64, requires_grad=True) for _ in range(4)]
        for _ in range(2)
    ]

    def slow(camera, geometry):
        return concatenating_head(head, camera, geometry, all_pairs, (3, 4), (24, 32))

    def fast(camera, geometry):
        return head.maps(camera, geometry, all_pairs, (3, 4), (24, 32))

    expected = values_and_gradients(slow, inputs, head.parameters())
    actual = values_and_gradients(fast, inputs, head.parameters())
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def test_without_gradients_pairs_go_a_few_at_a_time_to_the_same_flow(all_pairs, monkeypatch):
    head = FactoredHead(FactoredConfig(), 16, levels=4)
    inputs = [[torch.randn(2, 3, 12, 16) for _ in range(4)] for _ in range(2)]
    at_once = head.maps(*inputs, all_pairs, (3, 4), (24, 32)).detach()
    pairs_fused, maps_decoded = [], []
    head.mlp[4].register_forward_hook(lambda *a: pairs_fused.append(a[2].shape[1]))
    head.scratch.output_conv1.register_forward_hook(lambda *a: maps_decoded.append(len(a[2])))
    monkeypatch.setattr(dpt, "CACHE_BYTES", 13_000)
    with torch.no_grad():
        few = head.maps(*inputs, all_pairs, (3, 4), (24, 32))
    assert relative_error(few, at_once) < 1e-5
    assert pairs_fused == 4 * [4, 2]
    assert maps_decoded == 12 * [1]


def test_reads_the_target_only_through_the_mean_of_its_camera_latents(build):
    formulation = build("flow-factored").formulation
    latents = random_latents()
    pair = torch.tensor([[0, 2]])
    flow = formulation(latents, no_geometry(), pair, None)
    flow.target_px.square().mean().backward()
    for level in latents.geometry:
        assert level.grad[:, 0].abs().sum() > 0
        assert level.grad[:, 1:].abs().sum() == 0
    for level in latents.camera:
        target = level.grad[:, 2]
        assert target.abs().sum() > 0
        torch.testing.assert_close(target, target[:, :1].expand_as(target))
        assert level.grad[:, 1].abs().sum() == 0
    assert latents.patches.grad is None


def changed(latents, camera=lambda x: x, geometry=lambda x: x):
    return Latents(
        tuple(geometry(x.detach().clone()) for x in latents.geometry),
        tuple(camera(x.detach().clone()) for x in latents.camera),
        latents.patches,
        latents.grid,
        latents.image_size,
    )


def shuffle_patches(frame):
    def shuffle(level):
        level[:, frame] = level[:, frame].flip(1)
        return level

    return shuffle


def test_the_three_published_invariances(build):
    formulation = build("flow-factored").formulation
    latents = random_latents()
    pair = torch.tensor([[0, 2]])

    def flow(values):
        return formulation(values, no_geometry(), pair, None).target_px

    reference = flow(latents)
    same = {"rtol": 0, "atol": 1e-4}
    torch.testing.assert_close(flow(changed(latents, camera=shuffle_patches(2))), reference, **same)
    torch.testing.assert_close(
        flow(changed(latents, geometry=shuffle_patches(2))), reference, **same
    )
    for source in ({"camera": shuffle_patches(0)}, {"geometry": shuffle_patches(0)}):
        assert not torch.allclose(flow(changed(latents, **source)), reference, **same)


def test_pairs_are_independent_and_in_order(build, all_pairs):
    formulation = build("flow-factored").formulation
    latents = random_latents()
    together = formulation(latents, no_geometry(), all_pairs, None).target_px
    for index, pair in enumerate(all_pairs):
        alone = formulation(latents, no_geometry(), pair[None], None).target_px
        torch.testing.assert_close(together[:, index], alone[:, 0], rtol=1e-4, atol=1e-3)


def zero_last_layer(formulation):
    torch.nn.init.zeros_(formulation.head.scratch.output_conv2[2].weight)
    torch.nn.init.zeros_(formulation.head.scratch.output_conv2[2].bias)


def test_a_zero_output_is_no_motion_with_the_ramp_and_the_centre_without(build):
    latents, pair = random_latents(), torch.tensor([[0, 1]])
    ours = build("flow-factored").formulation
    zero_last_layer(ours)
    grid = pixel_grid(32, 48)
    flow = ours(latents, no_geometry(), pair, None)
    torch.testing.assert_close(flow.target_px, grid.expand(2, 1, 32, 48, 2), rtol=0, atol=1e-4)
    assert flow.valid.all()
    released = build("flow-factored", identity_ramp=False).formulation
    zero_last_layer(released)
    centre = torch.tensor([23.5, 15.5]).expand(2, 1, 32, 48, 2)
    torch.testing.assert_close(released(latents, no_geometry(), pair, None).target_px, centre)
