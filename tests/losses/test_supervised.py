"""Invariances, masks and degenerate input of the supervised objective."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from flow3r.data.clip import LabelledClips, PairFlow
from flow3r.errors import ConfigError
from flow3r.geometry.camera import unproject
from flow3r.geometry.rotation import rotation_from_nine
from flow3r.geometry.se3 import make_transform
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.model.outputs import Geometry

B, N, H, W = 3, 3, 8, 10
CONFIG = LossConfig(translation_direction_weight=0.5)
CAMERA = ("camera_rotation", "camera_translation", "camera_translation_direction")


def _poses(generator: torch.Generator) -> torch.Tensor:
    nine = torch.eye(3).flatten() + 0.3 * torch.randn(B, N, 9, generator=generator)
    return make_transform(rotation_from_nine(nine), torch.randn(B, N, 3, generator=generator))


def _clips(seed: int = 0) -> LabelledClips:
    generator = torch.Generator().manual_seed(seed)
    k = torch.tensor([[9.0, 0, 4.5], [0, 9, 3.5], [0, 0, 1]]).expand(B, N, 3, 3)
    depth = 2 + 0.05 * torch.rand(B, N, H, W, generator=generator)
    flow = PairFlow(torch.zeros(0, 2).long(), torch.zeros(B, 0, H, W, 2), torch.zeros(B, 0, H, W))
    return LabelledClips(torch.zeros(B, N, 3, H, W), depth, k, _poses(generator), flow)


def _geometry(clips: LabelledClips, noise: float = 0.02, seed: int = 1) -> Geometry:
    generator = torch.Generator().manual_seed(seed)
    points = unproject(clips.depth, clips.intrinsics)
    return Geometry(
        points + noise * torch.randn(points.shape, generator=generator),
        torch.randn(B, N, H, W, generator=generator),
        _poses(generator),
    )


def _leaves(geometry: Geometry) -> Geometry:
    return Geometry(
        geometry.local_points.detach().clone().requires_grad_(),
        geometry.confidence.detach().clone().requires_grad_(),
        geometry.world_from_camera.detach().clone().requires_grad_(),
    )


def _assert_finite(geometry: Geometry, clips: LabelledClips) -> dict[str, torch.Tensor]:
    geometry = _leaves(geometry)
    terms = supervised_loss(geometry, clips, CONFIG)
    assert all(torch.isfinite(value) for value in terms.values()), terms
    terms["total"].backward()
    for leaf in (geometry.local_points, geometry.confidence, geometry.world_from_camera):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
    return terms


def _assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=2e-4, atol=1e-6, msg=name)


def _scaled_world(pose: torch.Tensor, scale: float) -> torch.Tensor:
    return make_transform(pose[..., :3, :3], scale * pose[..., :3, 3])


def test_the_truth_costs_nothing():
    clips = _clips()
    truth = Geometry(
        unproject(clips.depth, clips.intrinsics), torch.full((B, N, H, W), 20.0),
        clips.world_from_camera,
    )  # fmt: skip
    terms = _assert_finite(truth, clips)
    # angles below one degree count as one degree
    corners = 4 * 0.5 * CONFIG.normal_angle_min**2 / CONFIG.normal_smoothing
    assert terms["normals"].item() == pytest.approx(corners / (4 * W), rel=1e-4)
    for name in ("points", "confidence", *CAMERA):
        assert terms[name].abs() < 2e-5, name


@pytest.mark.parametrize("scale", [0.01, 3.0, 500.0])
def test_the_scale_of_the_prediction_does_not_matter(scale):
    clips = _clips()
    geometry = _geometry(clips)
    scaled = replace(
        geometry,
        local_points=scale * geometry.local_points,
        world_from_camera=_scaled_world(geometry.world_from_camera, scale),
    )
    _assert_same(supervised_loss(scaled, clips, CONFIG), supervised_loss(geometry, clips, CONFIG))


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_unit_of_the_labels_does_not_matter(scale):
    clips = _clips()
    geometry = _geometry(clips)
    other = replace(
        clips,
        depth=scale * clips.depth,
        world_from_camera=_scaled_world(clips.world_from_camera, scale),
    )
    _assert_same(supervised_loss(geometry, other, CONFIG), supervised_loss(geometry, clips, CONFIG))


def test_neither_world_frame_matters():
    clips = _clips()
    geometry = _geometry(clips)
    move = _poses(torch.Generator().manual_seed(9))[:, :1]
    expected = supervised_loss(geometry, clips, CONFIG)
    moved_labels = replace(clips, world_from_camera=move @ clips.world_from_camera)
    _assert_same(supervised_loss(geometry, moved_labels, CONFIG), expected)
    moved = replace(geometry, world_from_camera=move @ geometry.world_from_camera)
    _assert_same(supervised_loss(moved, clips, CONFIG), expected)


def test_predictions_on_invalid_pixels_do_not_matter():
    clips = _clips()
    clips.depth[:, :, 2:4, 3:6] = 0
    geometry = _geometry(clips)
    points = geometry.local_points.clone()
    points[:, :, 2:4, 3:6] = 77.0
    other = replace(geometry, local_points=points)
    _assert_same(supervised_loss(other, clips, CONFIG), supervised_loss(geometry, clips, CONFIG))


@pytest.mark.parametrize("hole", [0.0, -1.0, float("nan"), float("inf"), -float("inf")])
def test_every_way_to_say_no_depth_is_the_same(hole):
    clips = _clips()
    geometry = _geometry(clips)
    depth = clips.depth.clone()
    depth[:, 1, 3, 4] = 0
    expected = supervised_loss(geometry, replace(clips, depth=depth), CONFIG)
    depth = depth.clone()
    depth[:, 1, 3, 4] = hole
    _assert_same(supervised_loss(geometry, replace(clips, depth=depth), CONFIG), expected)
    _assert_finite(geometry, replace(clips, depth=depth))


def test_a_clip_without_depth_adds_nothing_but_rotation_and_direction():
    clips = _clips()
    clips.depth[1] = 0
    geometry = _geometry(_clips())
    terms = _assert_finite(geometry, clips)
    keep = [0, 2]
    others = supervised_loss(
        geometry.clips(keep),
        replace(
            clips,
            depth=clips.depth[keep],
            intrinsics=clips.intrinsics[keep],
            world_from_camera=clips.world_from_camera[keep],
        ),
        CONFIG,
    )
    for name in ("points", "confidence", "camera_translation"):
        torch.testing.assert_close(terms[name], others[name])
    torch.testing.assert_close(terms["normals"], others["normals"] * 2 / 3)  # mean over all cells


def test_no_depth_at_all_is_zero_with_finite_gradients():
    clips = _clips()
    geometry = _geometry(clips)
    terms = _assert_finite(geometry, replace(clips, depth=torch.zeros_like(clips.depth)))
    for name in ("points", "normals", "confidence", "camera_translation"):
        assert terms[name] == 0, name


def test_cameras_that_did_not_move():
    clips = _clips()
    still = torch.eye(4).expand(B, N, 4, 4)
    terms = _assert_finite(_geometry(clips), replace(clips, world_from_camera=still))
    assert terms["camera_translation_direction"] == 0  # no true direction
    identical = replace(_geometry(clips), world_from_camera=still)
    _assert_finite(identical, clips)
    terms = _assert_finite(identical, replace(clips, world_from_camera=still))
    assert terms["camera_rotation"] == 0
    assert terms["camera_translation"] == 0


@pytest.mark.parametrize(
    "points",
    [
        torch.zeros(B, N, H, W, 3),
        torch.ones(B, N, H, W, 3),
        -torch.ones(B, N, H, W, 3).cumsum(dim=2),
        torch.full((B, N, H, W, 3), 1e-12),
        torch.full((B, N, H, W, 3), 1e12),
    ],
    ids=["origin", "one-place", "behind", "tiny", "huge"],
)
def test_degenerate_points(points):
    clips = _clips()
    _assert_finite(replace(_geometry(clips), local_points=points), clips)


def test_a_single_frame_has_no_camera_loss():
    clips, geometry = _clips(), _geometry(_clips())
    clips = replace(
        clips,
        depth=clips.depth[:, :1],
        intrinsics=clips.intrinsics[:, :1],
        world_from_camera=clips.world_from_camera[:, :1],
    )
    terms = _assert_finite(
        Geometry(*(t[:, :1] for t in vars(geometry).values() if t is not None)), clips
    )
    assert all(terms[name] == 0 for name in CAMERA)


def test_terms_of_weight_zero_are_not_computed():
    clips = _clips()
    config = LossConfig(normals_weight=0, confidence_weight=0, rotation_weight=0)
    terms = supervised_loss(replace(_geometry(clips), confidence=None), clips, config)
    assert set(terms) == {"points", "camera_translation", "total"}
    torch.testing.assert_close(terms["total"], terms["points"] + 10 * terms["camera_translation"])
    nothing = LossConfig(0, 0, 0, 0, 0, 0)
    assert supervised_loss(_geometry(clips), clips, nothing).keys() == {"total"}


def test_a_missing_confidence_is_an_error():
    clips = _clips()
    with pytest.raises(ConfigError, match=r"confidence_weight=0\.05"):
        supervised_loss(replace(_geometry(clips), confidence=None), clips, CONFIG)


def test_autocast_changes_nothing():
    clips = _clips()
    geometry = _geometry(clips)
    expected = supervised_loss(geometry, clips, CONFIG)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = supervised_loss(geometry, clips, CONFIG)
    for name, value in expected.items():
        assert torch.equal(actual[name], value), name


def test_a_nan_prediction_reaches_the_total():
    clips = _clips()
    geometry = _geometry(clips)
    geometry.local_points[0, 0, 0, 0, 0] = torch.nan
    assert torch.isnan(supervised_loss(geometry, clips, CONFIG)["total"])


def test_subsampling_barely_moves_the_scale_and_is_exact_with_enough_samples():
    clips = _clips()
    geometry = _geometry(clips)
    exact = supervised_loss(geometry, clips, CONFIG)
    pixels = N * H * W
    enough = supervised_loss(geometry, clips, replace(CONFIG, scale_samples=pixels))
    assert torch.equal(enough["total"], exact["total"])
    fewer = supervised_loss(geometry, clips, replace(CONFIG, scale_samples=pixels // 4))
    assert fewer["points"] == pytest.approx(exact["points"].item(), rel=0.1)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("points_weight", -1.0),
        ("flow_weight", float("inf")),
        ("rotation_weight", float("nan")),
        ("scale_samples", 0),
        ("charbonnier_epsilon", 0.0),
        ("translation_huber", -0.1),
        ("normal_angle_min", 2.0),
    ],
)
def test_bad_settings_are_named(setting, value):
    with pytest.raises(ConfigError, match=f"{setting}="):
        LossConfig(**{setting: value})
