"""What a generated clip promises: determinism, geometry, flow, domains."""

import pytest
import torch
import torch.nn.functional as F

from flow3r.data.world import DOMAINS, WorldConfig, generate_clip, generate_clips, world_config
from flow3r.data.world.materials import FAMILIES, FAMILY
from flow3r.errors import ConfigError, DataError

FIELDS = ("images", "depth", "intrinsics", "world_from_camera", "objects", "moving")


@pytest.fixture(scope="module")
def static():
    return generate_clips(world_config("source", frames=3), 7, range(4))


@pytest.fixture(scope="module")
def dynamic():
    return generate_clips(world_config("target", frames=2, dynamic=True), 7, range(8))


def same(a, b):
    return all(torch.equal(getattr(a, f), getattr(b, f)) for f in FIELDS)


def pixels(h, w):
    y, x = torch.meshgrid(torch.arange(h).float(), torch.arange(w).float(), indexing="ij")
    return torch.stack([x, y], -1)


def rigid_target(clip, a, b):
    """Independent route, in double precision: depth, intrinsics and poses only."""
    h, w = clip.depth.shape[1:]
    k = clip.intrinsics[a].double()
    ray = torch.cat([pixels(h, w), torch.ones(h, w, 1)], -1).double() @ torch.linalg.inv(k).T
    pose = torch.linalg.inv(clip.world_from_camera[b].double())
    pose = pose @ clip.world_from_camera[a].double()
    point = ray * clip.depth[a][..., None].double() @ pose[:3, :3].T + pose[:3, 3]
    image = point @ clip.intrinsics[b].double().T
    return image[..., :2] / image[..., 2:], point[..., 2]


def sample(values, target):
    h, w = values.shape[-2:]
    grid = 2 * target / torch.tensor([w - 1.0, h - 1.0]) - 1
    return F.grid_sample(values[None], grid[None], align_corners=True, padding_mode="border")[0]


def test_same_call_twice_and_any_batch_are_bit_identical(dynamic):
    config = world_config("target", frames=2, dynamic=True)
    again = generate_clips(config, 7, [5, 2, 11])
    assert same(again[0], dynamic[5])
    assert same(again[1], dynamic[2])
    assert same(generate_clip(config, 7, 5), dynamic[5])
    for pairs in ([(0, 1)], [(1, 0), (0, 1)]):
        for x, y in zip(again[0].flow(pairs), dynamic[5].flow(pairs)):
            assert torch.equal(x, y)


def test_different_index_seed_and_domain_differ(dynamic):
    config = world_config("target", frames=2, dynamic=True)
    assert not torch.equal(dynamic[0].images, dynamic[1].images)
    assert not torch.equal(generate_clip(config, 8, 0).images, dynamic[0].images)


def test_world_is_the_first_camera(static, dynamic):
    for clip in static + dynamic:
        assert torch.equal(clip.world_from_camera[0], torch.eye(4))
        r = clip.world_from_camera[:, :3, :3]
        assert torch.allclose(r @ r.mT, torch.eye(3).expand_as(r), atol=1e-5)
        assert torch.allclose(torch.linalg.det(r), torch.ones(len(r)), atol=1e-5)
        baseline = clip.world_from_camera[1, :3, 3].norm()
        assert 0.49 < baseline < 1.31


def test_values_are_sane(static, dynamic):
    for clip in static + dynamic:
        assert clip.images.min() >= 0
        assert clip.images.max() <= 1
        assert clip.images.std() > 0.04
        assert clip.depth.min() > 0
        assert clip.depth.max() < 15


def test_static_flow_is_rigid_flow(static):
    for clip in static:
        pairs = [(0, 1), (2, 0)]
        target, _ = clip.flow(pairs)
        for p, (a, b) in enumerate(pairs):
            expected, z = rigid_target(clip, a, b)
            error = (target[p] - expected).norm(dim=-1)[z > 0.3]
            assert error.max() < 1e-3


def test_static_pixels_of_dynamic_clips_move_rigidly_and_moving_ones_do_not(dynamic):
    off = []
    for clip in dynamic:
        target, covisible = clip.flow([(0, 1)])
        expected, z = rigid_target(clip, 0, 1)
        error = (target[0] - expected).norm(dim=-1)
        assert error[~clip.moving[0] & (z > 0.3)].max() < 1e-3
        off.append(error[clip.moving[0] & (covisible[0] > 0)])
    assert torch.cat(off).median() > 1.0


def test_forward_backward_cycle(static, dynamic):
    for clip in static + dynamic:
        target, covisible = clip.flow([(0, 1), (1, 0)])
        h, w = clip.depth.shape[1:]
        there = target[0][covisible[0] > 0]
        # The backward flow at the nearest pixels' mean; exact only inside smooth regions.
        back = sample(target[1].permute(2, 0, 1), target[0]).permute(1, 2, 0)
        error = (back - pixels(h, w)).norm(dim=-1)[covisible[0] > 0]
        assert len(there) > 100
        assert error.median() < 0.1


def test_covisible_points_are_met_at_the_right_depth(static):
    """In the interior of surfaces the target's own depth map confirms the visibility test."""
    for clip in static:
        target, covisible = clip.flow([(0, 1)])
        _, z = rigid_target(clip, 0, 1)
        depth = sample(clip.depth[1][None], target[0])[0]
        # Covisible: the same depth, but for interpolation across object edges.
        close = ((depth - z).abs() < 0.05 * z)[covisible[0] > 0]
        assert close.float().mean() > 0.9
        inside = (target[0] >= 0).all(-1) & (target[0] <= 47).all(-1) & (z > 0.05)
        hidden = inside & (covisible[0] == 0)
        if hidden.any():  # something stands before a hidden point, mostly by a margin
            assert (depth < z + 0.05)[hidden].float().mean() > 0.7


def test_flow_explains_the_images(static, dynamic):
    for clips in (static, dynamic):
        warped, still = [], []
        for clip in clips:
            target, covisible = clip.flow([(0, 1)])
            seen = covisible[0] > 0
            found = sample(clip.images[1], target[0])
            warped.append((found - clip.images[0]).abs().mean(0)[seen].mean())
            still.append((clip.images[1] - clip.images[0]).abs().mean(0)[seen].mean())
        assert torch.stack(warped).mean() < 0.5 * torch.stack(still).mean()


def test_moving_share_and_masks(static, dynamic):
    shares = torch.stack([clip.moving.float().mean() for clip in dynamic])
    low, high = WorldConfig().moving_share
    assert (shares > low - 0.05).all()
    assert (shares < high + 0.05).all()
    for clip in dynamic:
        assert (clip.objects[clip.moving] > 0).all()
        movers = clip.objects[clip.moving].unique()
        assert not torch.isin(clip.objects[~clip.moving], movers).any()
        assert len(movers) >= 2
    for clip in static:
        assert not clip.moving.any()


def test_covisibility_reaches_the_minimum(static, dynamic):
    for clip in dynamic:
        _, covisible = clip.flow([(0, 1), (1, 0)])
        assert covisible.mean((1, 2)).min() > 0.25 - 0.06
    for clip in static:
        pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
        _, covisible = clip.flow(pairs)
        assert covisible.mean((1, 2)).min() > 0.25 - 0.06


def test_domains_are_disjoint():
    source, target, test = (DOMAINS[n] for n in ("source", "target", "target-test"))
    for study in (target, test):
        for field in ("families", "palettes", "shapes", "furniture"):
            assert not set(getattr(source, field)) & set(getattr(study, field))
    assert not set(target.palettes) & set(test.palettes)
    assert set(test.families) - set(target.families) == set(test.required_families)
    assert set(test.shapes) - set(target.shapes) == {test.required_shape}
    assert not set(DOMAINS["source-a"].families) & set(DOMAINS["source-b"].families)


@pytest.mark.parametrize("dynamic", [False, True])
def test_test_scenes_show_what_was_withheld(dynamic):
    from flow3r.data.world.scene import BOWL

    def contents(domain):
        clips = generate_clips(world_config(domain, dynamic=dynamic), 3, range(4))
        for clip in clips:
            kinds = {p.kind for body in clip.scene.bodies for p in body.parts}
            yield kinds, {FAMILIES[int(row[FAMILY])] for row in clip.scene.room.materials}

    for kinds, families in contents("target-test"):
        assert BOWL in kinds
        assert families & {"stripes", "quilt"}
        assert families <= set(DOMAINS["target-test"].families)
    for kinds, families in contents("target"):
        assert BOWL not in kinds
        assert families <= set(DOMAINS["target"].families)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (112, 112)])
def test_sizes(height, width):
    config = world_config("target-test", height=height, width=width, dynamic=True)
    clip = generate_clip(config, 0, 0)
    assert clip.images.shape == (2, 3, height, width)
    assert clip.intrinsics[0, 0, 2] == (width - 1) / 2
    target, covisible = clip.flow([(0, 1)])
    assert target.shape == (1, height, width, 2)
    assert covisible.shape == (1, height, width)
    assert torch.isfinite(target).all()


@pytest.mark.slow
def test_full_size_frame():
    clip = generate_clip(world_config("target", height=518, width=518, dynamic=True), 0, 0)
    target, _ = clip.flow([(0, 1)])
    expected, z = rigid_target(clip, 0, 1)
    still = ~clip.moving[0] & (z > 0.3)
    assert (target[0] - expected).norm(dim=-1)[still].max() < 5e-3


def test_long_clips_stay_covisible_from_frame_to_frame():
    config = world_config("target", frames=8, baseline=(0.15, 0.3), yaw=(-8.0, 8.0))
    clip = generate_clip(config, 0, 0)
    _, covisible = clip.flow([(i, i + 1) for i in range(7)])
    assert covisible.mean((1, 2)).min() > 0.2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_renders_the_same_scene(dynamic):
    clip = generate_clip(world_config("target", frames=2, dynamic=True), 7, 0, "cuda")
    assert (clip.objects.cpu() == dynamic[0].objects).float().mean() > 0.999
    assert (clip.images.cpu() - dynamic[0].images).abs().mean() < 1e-3


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="source-a"):
        WorldConfig(domain="kitchen")
    with pytest.raises(ConfigError, match="baseline"):
        WorldConfig(baseline=(1.0, 0.5))
    with pytest.raises(ConfigError, match="height"):
        WorldConfig(height=2)
    with pytest.raises(DataError, match="min_covisibility"):
        generate_clip(WorldConfig(min_covisibility=0.94, baseline=(1.2, 1.3)), 0, 0)
    with pytest.raises(DataError, match="numbered 0"):
        generate_clip(WorldConfig(), 0, 0).flow([(0, 2)])
