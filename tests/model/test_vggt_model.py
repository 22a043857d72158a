"""The VGGT model: the first frame, invariances, the published size, precision, initial state."""

import dataclasses
import math

import pytest
import torch

from flow3r.geometry.camera import unproject
from flow3r.model.config import (
    AggregatorConfig,
    DenseHeadConfig,
    EncoderConfig,
    PoseHeadConfig,
    VggtConfig,
    vggt_large,
    vggt_study,
)
from flow3r.model.vggt.aggregator import first_and_others
from flow3r.model.vggt.model import VggtModel
from flow3r.model.vggt.names import released_name


def released_like() -> VggtConfig:
    """Every feature of the large model (four levels, tokens, LayerScale), tiny."""
    return VggtConfig(
        patch_size=8,
        encoder=EncoderConfig(width=24, depth=1, heads=2, grid=5),
        aggregator=AggregatorConfig(width=16, depth=5, heads=2),
        camera=PoseHeadConfig(depth=2, heads=4, iterations=3),
        dense=DenseHeadConfig(features=8, out_channels=(4, 8, 8, 8), hidden=4),
        levels=(0, 1, 2, 4),
    )


CONFIGS = pytest.mark.parametrize("config", [vggt_study(), released_like()], ids=["study", "four"])
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def distinct(config: VggtConfig) -> VggtModel:
    """A model whose first frame differs from the others, as after training."""
    model = VggtModel(config)
    torch.nn.init.normal_(model.backbone.camera_token)
    torch.nn.init.normal_(model.backbone.register_token)
    return model


def test_released_size_part_by_part():
    with torch.device("meta"):
        model = VggtModel(vggt_large())
    counts: dict[str, list[int]] = {}
    for name, tensor in model.state_dict().items():
        parts = released_name(name).split(".")
        part = ".".join(parts[: 2 if parts[0] == "aggregator" else 1])
        counts.setdefault(part, []).append(tensor.numel())
    assert {part: (len(sizes), sum(sizes)) for part, sizes in counts.items()} == {
        "aggregator.patch_embed": (343, 304_371_712),  # released: one more, the mask token
        "aggregator.frame_blocks": (432, 302_364_672),
        "aggregator.global_blocks": (432, 302_364_672),
        "aggregator.camera_token": (1, 2048),
        "aggregator.register_token": (1, 8192),
        "camera_head": (69, 216_174_610),
        "depth_head": (62, 32_654_562),
        "point_head": (62, 32_654_628),
    }


@CONFIGS
def test_shapes(config):
    latents, geometry = VggtModel(config)(torch.rand(2, 3, 3, 32, 48))
    sizes = config.latents
    assert [x.shape for x in latents.geometry] == [(2, 3, 24, sizes.width)] * sizes.levels
    assert [x.shape for x in latents.camera] == [(2, 3, 1, sizes.width)] * sizes.levels
    assert latents.patches.shape == (2, 3, 24, sizes.patch_width)
    assert (latents.grid, latents.image_size) == ((4, 6), (32, 48))
    assert geometry.local_points.shape == geometry.points.shape == (2, 3, 32, 48, 3)
    assert geometry.confidence.shape == geometry.depth_confidence.shape == (2, 3, 32, 48)
    assert geometry.world_from_camera.shape == (2, 3, 4, 4)
    assert geometry.intrinsics.shape == (2, 3, 3, 3)
    assert (geometry.local_points[..., 2] > 0).all()


@CONFIGS
def test_the_first_frame_is_special_and_the_others_are_interchangeable(config):
    model = distinct(config)
    images = torch.rand(2, 4, 3, 32, 32)
    latents, geometry = model(images)
    order = [0, 3, 1, 2]
    shuffled_latents, shuffled = model(images[:, order])
    for field in dataclasses.fields(geometry):
        expected = getattr(geometry, field.name)[:, order]
        torch.testing.assert_close(getattr(shuffled, field.name), expected, **CLOSE)
    torch.testing.assert_close(shuffled_latents.patches, latents.patches[:, order], **CLOSE)
    for level, expected in zip(shuffled_latents.camera, latents.camera):
        torch.testing.assert_close(level, expected[:, order], **CLOSE)
    first = [1, 0, 2, 3]
    swapped = model(images[:, first])[0].patches
    assert (swapped - latents.patches[:, first]).abs().max() > 1e-2


def test_tokens_of_the_first_frame_and_of_all_others():
    tokens = torch.randn(1, 2, 3, 4)
    laid_out = first_and_others(tokens, clips=2, frames=3)
    assert laid_out.shape == (2, 3, 3, 4)
    for clip in range(2):
        for frame in range(3):
            assert torch.equal(laid_out[clip, frame], tokens[0, min(frame, 1)])
    assert first_and_others(tokens, clips=2, frames=1).shape == (2, 1, 3, 4)


def test_clips_of_a_batch_do_not_touch_and_can_be_selected():
    model = distinct(vggt_study())
    images = torch.rand(3, 2, 3, 48, 48)
    geometry, alone = model(images)[1].clips(slice(1, None)), model(images[1:])[1]
    for field in dataclasses.fields(geometry):
        torch.testing.assert_close(
            getattr(geometry, field.name), getattr(alone, field.name), **CLOSE
        )


def test_local_points_are_the_depth_seen_through_the_intrinsics():
    geometry = VggtModel(vggt_study())(torch.rand(1, 2, 3, 32, 48))[1]
    again = unproject(geometry.local_points[..., 2], geometry.intrinsics)
    torch.testing.assert_close(geometry.local_points, again)


def test_frames_of_a_clip_see_each_other_and_one_frame_works():
    model = VggtModel(vggt_study())
    images = torch.rand(1, 2, 3, 48, 48, requires_grad=True)
    model(images)[1].points[:, 0].sum().backward()
    assert images.grad[:, 1].abs().sum() > 0
    assert model(images[:, :1])[1].points.isfinite().all()


def test_the_first_geometry_is_plain():
    geometry = VggtModel(vggt_study())(torch.rand(4, 2, 3, 48, 48))[1]
    assert (geometry.world_from_camera - torch.eye(4)).abs().max() < 0.3
    assert geometry.local_points[..., 2].log().abs().mean() < 0.5
    focal = 24 / math.tan(math.radians(30))
    torch.testing.assert_close(
        geometry.intrinsics[..., 0, 0].mean().item(), focal, rtol=0.1, atol=0
    )
    assert geometry.points.abs().mean() < 1


def test_tied_query_and_key_in_global_blocks_only():
    backbone = VggtModel(vggt_study()).backbone
    for blocks, tied in ((backbone.frame_blocks, False), (backbone.global_blocks, True)):
        for block in blocks:
            query, key, _ = block.attn.qkv.weight.chunk(3)
            assert torch.equal(query, key) == tied


@pytest.mark.parametrize("attention", ["sdpa", "softmax"])
def test_bf16_autocast_keeps_the_heads_in_float32(attention):
    model = VggtModel(dataclasses.replace(vggt_study(), attention=attention))
    images = torch.rand(2, 2, 3, 48, 48)
    with torch.autocast("cpu", torch.bfloat16):
        _, geometry = model(images)
    exact = model(images)[1]
    for field in dataclasses.fields(geometry):
        value, expected = getattr(geometry, field.name), getattr(exact, field.name)
        assert value.dtype == torch.float32, field.name
        assert 0 < (value - expected).norm() / expected.norm() < 0.2, field.name
    geometry.points.square().mean().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("shape", [(1, 2, 3, 50, 48), (2, 3, 48, 48), (1, 2, 4, 48, 48)])
def test_refuses_images_it_cannot_cut_into_patches(shape):
    with pytest.raises(ValueError, match="image"):
        VggtModel(vggt_study())(torch.rand(shape))
