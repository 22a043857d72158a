"""The culled, batched caster against every primitive tested on its own."""

import numpy as np
import torch

from flow3r.data.world import generate_clip, world_config
from flow3r.data.world.furniture import SHAPES
from flow3r.data.world.raycast import Group, blocked, cast_first
from flow3r.data.world.scene import Body, Room, Scene, make_pose, random_rotation
from flow3r.data.world.shapes import FAR, HIT


def slow_cast(packed, group, directions):
    """Distance per ray: no culling, one part at a time, double precision."""
    best = torch.full(directions.shape[1:], FAR, dtype=torch.float64)
    for g in range(directions.shape[1]):
        s, f = group.scene[g], group.frame[g]
        d = directions[:, g].double()
        for kind, start, end in packed.blocks:
            for k in range(start, end):
                if packed.radius[s, k] < 0:
                    continue
                m = packed.to_unit[s, f, k].double().view(3, 3)
                o = m @ (group.origin[g] - packed.centre[s, f, k]).double()
                origin = tuple(o[:, None].expand_as(d))
                shape = packed.shape[s, k].double().expand(d.shape[1])
                best[g] = torch.minimum(best[g], HIT[kind](origin, tuple(m @ d), shape))
        m = packed.to_unit[s, f, -1].double().view(3, 3)
        o, d = m @ (group.origin[g] - packed.centre[s, f, -1]).double(), m @ d
        room = ((torch.sign(d) - o[:, None]) / d).amin(0)
        best[g] = torch.minimum(best[g], room)
    return best


def rays_of(clip, count):
    packed = clip.packed
    frames = packed.frames
    directions = torch.randn(3, frames, count)
    directions = directions / directions.norm(dim=0)
    zero = torch.zeros(frames, dtype=torch.int64)
    return Group(zero, torch.arange(frames), packed.world_from_camera[0, :, :3, 3]), directions


def test_first_hit_matches_slow_reference():
    for domain in ("source", "target-test"):
        config = world_config(domain, frames=2, dynamic=domain != "source", height=96, width=96)
        clip = generate_clip(config, 2, 0)
        group, directions = rays_of(clip, 4000)
        distance, slot = cast_first(clip.packed, group, directions)
        expected = slow_cast(clip.packed, group, directions)
        wrong = (distance - expected).abs() > 1e-3
        assert wrong.float().mean() < 1e-3  # rays that graze an edge may fall on either side
        assert len(slot.unique()) > 5


def test_blocked_agrees_with_first_hit():
    clip = generate_clip(world_config("target", dynamic=True), 2, 1)
    group, directions = rays_of(clip, 3000)
    distance, slot = cast_first(clip.packed, group, directions)
    everything = torch.ones_like(slot, dtype=torch.bool)
    on_part = slot != clip.packed.slots
    assert not blocked(clip.packed, group, directions, distance - 1e-4, everything).any()
    beyond = blocked(clip.packed, group, directions, distance + 1e-3, everything)
    assert torch.equal(beyond, on_part)
    assert not blocked(clip.packed, group, directions, distance + 1, ~everything).any()


def test_composed_shapes_can_be_seen_through():
    """An arch lets a ray pass between its pillars, a ring through its hole."""
    from flow3r.data.world.pack import pack

    rng = np.random.default_rng(0)
    for name, axis in (("arch", (0.0, 1.0, 0.0)), ("ring", (0.0, 0.0, 1.0))):
        turn = random_rotation(rng)
        parts = SHAPES[name](rng, 0, 0)
        room = Room(np.array([5.0, 5.0, 5.0]), [Body(parts, make_pose(turn, np.zeros(3))[None], 1)])
        room.materials = [np.zeros(16)] * 6
        room.lamps = np.zeros((1, 6))
        camera = make_pose(np.eye(3), np.array([0.0, 0.0, -4.0]))
        packed = pack([Scene(room, [], camera[None], 1.0)], 8, 8)
        world_axis = torch.from_numpy(turn @ np.array(axis)).float()
        centre = torch.tensor([0.0, 0.0, 4.0])  # world = camera frame
        side = torch.from_numpy(turn @ np.array([0.72, 0.0, 0.0])).float()
        zero = torch.zeros(1, dtype=torch.int64)
        seen = []
        for aim in (centre, centre + side):
            group = Group(zero, zero, (aim - 3 * world_axis)[None])
            _, slot = cast_first(packed, group, world_axis.view(3, 1, 1).clone())
            seen.append(bool(slot != packed.slots))
        assert seen == [False, True], name
