"""The factored head: the split first layer, what it reads, its convention."""

import torch

from flow3r.geometry.camera import pixel_grid
from flow3r.model.outputs import Geometry, Latents


def random_latents(levels=4, frames=3, width=16):
    def draw():
        return tuple(torch.randn(2, frames, 24, width, requires_grad=True) for _ in range(levels))

    patches = torch.randn(2, frames, 24, 2 * width, requires_grad=True)
    return Latents(draw(), draw(), patches, grid=(4, 6), image_size=(32, 48))


def no_geometry():
    """The factored head must not touch it."""
    return Geometry(None, None, None)


def naive_fuse(head, camera, geometry, pairs):
    """The released code: concatenate for every pair, then the MLP."""
    fused = []
    for source, target in pairs.tolist():
        pooled = camera[:, target].mean(dim=1, keepdim=True).expand_as(camera[:, target])
        joined = torch.cat([camera[:, source], pooled, geometry[:, source]], dim=-1)
        fused.append(head.norm(head.mlp(joined)))
    return torch.stack(fused, dim=1)


def test_the_split_layer_equals_the_concatenation_with_gradients(build, all_pairs):
    head = build("flow-factored").formulation.head
    camera = torch.randn(2, 3, 24, 16, requires_grad=True)
    geometry = torch.randn(2, 3, 24, 16, requires_grad=True)
    ours, slow = (f(camera, geometry, all_pairs) for f in (head.fuse, naive_of(head)))
    torch.testing.assert_close(ours, slow, rtol=1e-5, atol=1e-5)
    weight = torch.randn_like(ours)
    wanted = [camera, geometry, *head.mlp.parameters(), *head.norm.parameters()]
    a = torch.autograd.grad((ours * weight).sum(), wanted)
    b = torch.autograd.grad((slow * weight).sum(), wanted)
    for first, second in zip(a, b):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


def naive_of(head):
    return lambda camera, geometry, pairs: naive_fuse(head, camera, geometry, pairs)


def test_reads_the_target_only_through_the_mean_of_its_camera_latents(build):
    factored = build("flow-factored").formulation
    latents = random_latents()
    pair = torch.tensor([[0, 2]])
    flow = factored(latents, no_geometry(), pair, None)
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
    factored = build("flow-factored").formulation
    latents = random_latents()
    pair = torch.tensor([[0, 2]])

    def flow(values):
        return factored(values, no_geometry(), pair, None).target_px

    reference = flow(latents)
    same = {"rtol": 0, "atol": 1e-4}
    torch.testing.assert_close(flow(changed(latents, camera=shuffle_patches(2))), reference, **same)
    torch.testing.assert_close(
        flow(changed(latents, geometry=shuffle_patches(2))), reference, **same
    )
    for source in ({"camera": shuffle_patches(0)}, {"geometry": shuffle_patches(0)}):
        assert not torch.allclose(flow(changed(latents, **source)), reference, **same)


def test_pairs_are_independent_and_in_order(build, all_pairs):
    factored = build("flow-factored").formulation
    latents = random_latents()
    together = factored(latents, no_geometry(), all_pairs, None).target_px
    for index, pair in enumerate(all_pairs):
        alone = factored(latents, no_geometry(), pair[None], None).target_px
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
