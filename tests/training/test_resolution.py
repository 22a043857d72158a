"""A step's own size: pictures, depth, intrinsics and flow follow the same cut."""

import numpy as np
import pytest
import torch

from flow3r.data.clip import LabelledClips, PairFlow, UnlabelledClips
from flow3r.data.pairs import ordered_pairs
from flow3r.data.world import generate_clip, world_config
from flow3r.errors import ConfigError
from flow3r.geometry.camera import project, unproject
from flow3r.geometry.flow import rigid_target_px
from flow3r.geometry.se3 import relative_pose
from flow3r.training.resolution import SizesConfig, at_size

PAIRS = ordered_pairs(2)


@pytest.fixture(scope="module")
def clips():
    config = world_config("target", frames=2, height=56, width=70, noise=0.0, baseline=(0.2, 0.4))
    clip = generate_clip(config, 1, 0)
    target_px, covisibility = clip.flow(PAIRS)
    return LabelledClips(
        clip.images[None],
        clip.depth[None],
        clip.intrinsics[None],
        clip.world_from_camera[None],
        PairFlow(PAIRS, target_px[None], covisibility[None]),
    )


@pytest.mark.parametrize("size", [(28, 42), (42, 28), (28, 28), (70, 84), (56, 28)])
def test_flow_depth_and_intrinsics_stay_one_scene(clips, size):
    """The stored flow, cut, is the rigid flow of the cut depth, to the pixel it was taken from."""
    made = at_size(clips, size)
    assert made.images.shape[-2:] == made.depth.shape[-2:] == size
    source, target = PAIRS.unbind(1)
    points = unproject(made.depth, made.intrinsics)[:, source]
    move = relative_pose(made.world_from_camera[:, target], made.world_from_camera[:, source])
    expected, _ = rigid_target_px(points, move, made.intrinsics[:, target])
    seen = made.flow.covisibility > 0
    assert seen.float().mean() > 0.3
    error = (made.flow.target_px - expected).norm(dim=-1)[seen]
    assert error.median() < 0.1
    assert error.quantile(0.98) < 1.0  # half a pixel off at a slanted surface, no more
    x, y = made.flow.target_px[seen].unbind(-1)
    assert (x > -0.5).all()
    assert (x < size[1] - 0.5).all()
    assert (y > -0.5).all()
    assert (y < size[0] - 0.5).all()


@pytest.mark.parametrize("seed", range(8))
def test_points_project_to_the_same_place(clips, seed):
    random = np.random.default_rng(seed)
    size = tuple(int(n) for n in random.integers(10, 100, 2))
    made = at_size(clips, size)
    points = torch.from_numpy(random.normal(size=(20, 3)) + np.array([0, 0, 4])).float()
    before, _ = project(points, clips.intrinsics[0, 0])
    after, _ = project(points, made.intrinsics[0, 0])
    k, new = clips.intrinsics[0, 0], made.intrinsics[0, 0]
    scale = torch.stack([new[0, 0] / k[0, 0], new[1, 1] / k[1, 1]])
    # One affine map, the same for all points, that takes borders of whole pixels to the borders.
    start = (before + 0.5) - (after + 0.5) / scale
    torch.testing.assert_close(start, start[:1].expand_as(start), atol=1e-3, rtol=0)
    window = torch.tensor([size[1], size[0]]) / scale
    for value in (start[0], window):
        torch.testing.assert_close(value, value.round(), atol=2e-3, rtol=0)
    assert (start[0] > -0.01).all()
    assert (start[0] + window < torch.tensor([70.01, 56.01])).all()


def test_pictures_follow_too(clips):
    x = torch.linspace(0, 1, 70).expand(1, 2, 3, 56, 70)
    made = at_size(UnlabelledClips(x, clips.flow), (28, 28))
    assert made.intrinsics is None
    expected = x[..., 7:63].unflatten(-1, (28, 2)).mean(-1)[..., :28, :]
    inner = made.images[..., 2:-2]
    torch.testing.assert_close(inner, expected[..., 2:-2], atol=2e-3, rtol=0)
    assert at_size(clips, (56, 70)) is clips


def test_missing_depth_stays_missing(clips):
    depth = torch.where(torch.rand(clips.depth.shape) < 0.5, 0.0, 3.0)
    holes = LabelledClips(
        clips.images, depth, clips.intrinsics, clips.world_from_camera, clips.flow
    )
    assert set(at_size(holes, (33, 47)).depth.unique().tolist()) == {0.0, 3.0}


def test_a_step_has_its_size_and_all_buckets_come_up():
    config = SizesConfig((300, 2000), 14)
    drawn = [config.of_step(0, step) for step in range(200)]
    assert drawn == [config.of_step(0, step) for step in range(200)]
    assert set(drawn) == set(config.buckets)
    assert drawn != [config.of_step(1, step) for step in range(200)]
    with pytest.raises(ConfigError, match="no size"):
        SizesConfig((10, 20), 14)
