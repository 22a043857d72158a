"""The reconstruction model: invariances, the published size, precision, initial state."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from flow3r.model.config import (
    DecoderConfig,
    EncoderConfig,
    Pi3Config,
    TaskDecoderConfig,
    pi3_large,
    pi3_study,
)
from flow3r.model.encoder import PatchEmbedding, resize_positions
from flow3r.model.heads import PixelHead, decode_points
from flow3r.model.images import IMAGENET_MEAN
from flow3r.model.pi3.camera_head import CameraHead
from flow3r.model.pi3.model import Pi3Model


def released_like() -> Pi3Config:
    """Every feature of the large model (tokens, levels, own confidence decoder), tiny."""
    return Pi3Config(
        patch_size=8,
        encoder=EncoderConfig(width=24, depth=1, heads=2, grid=5),
        decoder=DecoderConfig(width=16, depth=4, heads=2),
        tasks=TaskDecoderConfig(width=32, depth=5, heads=2, camera_width=16),
    )


def elements(module):
    return sum(t.numel() for t in module.state_dict().values())


def test_paper_size_part_by_part():
    with torch.device("meta"):
        model = Pi3Model(pi3_large())
    expected = {
        model.backbone.encoder: 304_371_712,
        model.backbone.decoder: 453_547_008,
        model.point_decoder: 66_128_896,
        model.conf_decoder: 66_128_896,
        model.camera_decoder: 65_604_096,
        model.point_head: 602_700,
        model.conf_head: 200_900,
        model.camera_head: 2_107_404,
    }
    assert [elements(part) for part in expected] == list(expected.values())
    assert model.backbone.register_token.numel() == 5120
    assert sum(buffer.numel() for buffer in model.buffers()) == 6
    assert not any("mask_token" in name for name in model.state_dict())


@pytest.mark.parametrize("config", [pi3_study(), released_like()], ids=["study", "released"])
def test_shapes_and_finite_gradients(config):
    model = Pi3Model(config)
    latents, geometry = model(torch.rand(2, 3, 3, 32, 48))
    count = len(config.tasks.levels)
    assert [x.shape for x in latents.geometry] == [(2, 3, 24, config.tasks.width)] * count
    assert [x.shape for x in latents.camera] == [(2, 3, 24, config.tasks.width)] * count
    assert latents.patches.shape == (2, 3, 24, 2 * config.decoder.width)
    assert (latents.grid, latents.image_size) == ((4, 6), (32, 48))
    assert geometry.local_points.shape == geometry.points.shape == (2, 3, 32, 48, 3)
    assert geometry.confidence.shape == (2, 3, 32, 48)
    assert geometry.world_from_camera.shape == (2, 3, 4, 4)
    assert (geometry.local_points[..., 2] > 0).all()
    loss = geometry.points.square().mean() + geometry.confidence.square().mean()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("config", [pi3_study(), released_like()], ids=["study", "released"])
def test_equivariant_under_permutation_of_the_frames(config):
    model = Pi3Model(config)
    images = torch.rand(2, 3, 3, 32, 32)
    order = [2, 0, 1]
    latents, geometry = model(images)
    shuffled_latents, shuffled = model(images[:, order])
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(shuffled.local_points, geometry.local_points[:, order], **close)
    torch.testing.assert_close(
        shuffled.world_from_camera, geometry.world_from_camera[:, order], **close
    )
    torch.testing.assert_close(shuffled_latents.patches, latents.patches[:, order], **close)


def test_clips_of_a_batch_do_not_touch_and_can_be_selected():
    model = Pi3Model(pi3_study())
    images = torch.rand(3, 2, 3, 48, 48)
    latents, geometry = model(images)
    alone_latents, alone = model(images[1:])
    close = {"rtol": 1e-4, "atol": 1e-5}
    part = slice(1, None)
    torch.testing.assert_close(geometry.clips(part).points, alone.points, **close)
    torch.testing.assert_close(latents.clips(part).patches, alone_latents.patches, **close)
    for level, expected in zip(latents.clips(part).camera, alone_latents.camera):
        torch.testing.assert_close(level, expected, **close)


def test_frames_of_a_clip_see_each_other():
    model = Pi3Model(pi3_study())
    images = torch.rand(1, 2, 3, 48, 48, requires_grad=True)
    model(images)[1].local_points[:, 0].sum().backward()
    assert images.grad[:, 1].abs().sum() > 0


def test_one_frame_works_with_cross_frame_heads():
    points = Pi3Model(pi3_study())(torch.rand(1, 1, 3, 48, 48))[1].points
    assert points.isfinite().all()


@pytest.mark.parametrize("attention", ["sdpa", "softmax"])
def test_bf16_autocast_keeps_the_heads_in_float32(attention):
    model = Pi3Model(dataclasses.replace(pi3_study(), attention=attention))
    images = torch.rand(2, 2, 3, 48, 48)
    seen = {}
    for name in ("point_head", "camera_head", "conf_head"):
        head = getattr(model, name)
        head.register_forward_hook(lambda m, i, o, name=name: seen.update({name: o.dtype}))
    with torch.autocast("cpu", torch.bfloat16):
        _, geometry = model(images)
    assert set(seen.values()) == {torch.float32}
    assert len(seen) == 3
    rotation = geometry.world_from_camera[..., :3, :3]
    torch.testing.assert_close(
        rotation @ rotation.mT, torch.eye(3).expand_as(rotation), atol=1e-5, rtol=0
    )
    exact = model(images)[1].local_points
    error = (geometry.local_points - exact).norm() / exact.norm()
    assert 0 < error < 0.05
    geometry.points.square().mean().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in gradients)


def test_the_first_pose_is_nearly_the_identity_and_depth_nearly_one():
    geometry = Pi3Model(pi3_study())(torch.rand(4, 2, 3, 48, 48))[1]
    error = geometry.world_from_camera - torch.eye(4)
    assert error.abs().max() < 0.5
    assert geometry.local_points[..., 2].log().abs().mean() < 0.5


def test_camera_head_is_finite_at_equal_singular_values():
    head = CameraHead(8)
    torch.nn.init.zeros_(head.fc_rot.weight)
    with torch.no_grad():
        head.fc_rot.bias.copy_(torch.eye(3).flatten())
    pose = head(torch.randn(3, 4, 8))
    torch.testing.assert_close(pose[:, :3, :3], torch.eye(3).expand(3, 3, 3))
    (pose * torch.randn(3, 4, 4)).sum().backward()
    assert head.fc_rot.bias.grad.isfinite().all()
    assert head.fc_rot.bias.grad.abs().sum() > 0


def test_points_are_decoded_as_published_and_clamped():
    raw = torch.tensor([2.0, -1.0, 0.5]).view(1, 3, 1, 1)
    depth = torch.tensor(0.5).exp()
    expected = torch.stack([2 * depth, -depth, depth])
    torch.testing.assert_close(decode_points(raw)[0, 0, 0], expected)
    far = torch.tensor([0.0, 0.0, 90.0]).view(1, 3, 1, 1).requires_grad_()
    decoded = decode_points(far)
    assert decoded[0, 0, 0, 2] == torch.tensor(15.0).exp()
    decoded.sum().backward()
    assert far.grad.isfinite().all()


def test_pixel_head_orders_channels_like_pixel_shuffle():
    head = PixelHead(4, 3, 2)
    patches = torch.randn(1, 6, 4)
    out = head(patches, (2, 3))
    raw = head.proj(patches).view(1, 2, 3, 3, 2, 2)  # row, column, channel, sub-row, sub-column
    for row in range(4):
        for column in range(6):
            expected = raw[0, row // 2, column // 2, :, row % 2, column % 2]
            torch.testing.assert_close(out[0, :, row, column], expected)


def test_patch_embedding_is_the_convolution():
    embedding = PatchEmbedding(4, 6)
    images = torch.randn(2, 3, 8, 12)
    expected = embedding.proj(images).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embedding(images), expected)


def test_positions_resize_to_an_explicit_size():
    positions = torch.randn(1, 25, 6)
    assert resize_positions(positions, 5, (5, 5)) is positions
    square = positions.view(1, 5, 5, 6).permute(0, 3, 1, 2)
    expected = functional.interpolate(square, (3, 7), mode="bicubic", antialias=True)
    resized = resize_positions(positions, 5, (3, 7)).view(1, 3, 7, 6)
    torch.testing.assert_close(resized, expected.permute(0, 2, 3, 1))
    constant = torch.ones(1, 25, 6)
    torch.testing.assert_close(resize_positions(constant, 5, (4, 9)), torch.ones(1, 36, 6))


def test_images_are_normalised_inside():
    model = Pi3Model(pi3_study())
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1).expand(1, 1, 3, 48, 48)
    seen = {}
    model.backbone.encoder.patch_embed.register_forward_pre_hook(
        lambda module, inputs: seen.update(images=inputs[0])
    )
    model.encode(mean)
    torch.testing.assert_close(seen["images"], torch.zeros(1, 3, 48, 48))


def test_tied_query_and_key_in_global_blocks_only():
    blocks = Pi3Model(pi3_study()).backbone.decoder
    for index, block in enumerate(blocks):
        query, key, value = block.attn.qkv.weight.chunk(3)
        assert torch.equal(query, key) == (index % 2 == 1)
        assert not torch.equal(query, value)


def test_shared_confidence_never_moves_the_geometry():
    model = Pi3Model(pi3_study())
    model(torch.rand(1, 2, 3, 48, 48))[1].confidence.square().mean().backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None}
    assert moved == {"conf_head.proj.weight", "conf_head.proj.bias"}


def test_the_kind_of_confidence_changes_no_other_initial_weight():
    states = []
    for kind in ("own-decoder", "shared-decoder"):
        torch.manual_seed(3)
        states.append(Pi3Model(dataclasses.replace(pi3_study(), confidence=kind)).state_dict())
    for name, tensor in states[1].items():
        if not name.startswith("conf_"):
            assert torch.equal(tensor, states[0][name]), name


@pytest.mark.parametrize("shape", [(1, 2, 3, 50, 48), (2, 3, 48, 48), (1, 2, 4, 48, 48)])
def test_refuses_images_it_cannot_cut_into_patches(shape):
    with pytest.raises(ValueError, match="image"):
        Pi3Model(pi3_study())(torch.rand(shape))
