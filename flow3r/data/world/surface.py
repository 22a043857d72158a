"""What a ray has hit: point, normal, coordinates in the part's own frame, material."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flow3r.data.world.pack import PackedScenes
from flow3r.data.world.raycast import Group
from flow3r.data.world.scene import BOX
from flow3r.data.world.shapes import unit_normal


@dataclass(frozen=True)
class Surface:
    """Hit points of G groups of R rays."""

    point: Tensor  # [3, G, R]
    """World coordinates."""
    normal: Tensor  # [3, G, R]
    """Unit, world, towards the side the ray came from."""
    local: Tensor  # [3, G, R]
    """Metres in the part's frame."""
    local_normal: Tensor  # [3, G, R]
    """Outward, part frame, any length."""
    material: Tensor  # [G, R]
    crease: Tensor  # [G, R]
    """On the room's shell: distance to its nearest edge in metres; large elsewhere."""


def _unit_normals(packed: PackedScenes, slot: Tensor, q: list[Tensor], shape: Tensor) -> Tensor:
    """Outward normals [3, n] in the unit frames."""
    normal = torch.empty(3, slot.numel(), device=slot.device)
    for kind, start, end in (*packed.blocks, (BOX, packed.slots, packed.slots + 1)):
        own = ((slot >= start) & (slot < end)).nonzero().squeeze(1)
        found = unit_normal(
            kind, tuple(c.index_select(0, own) for c in q), shape.index_select(0, own)
        )
        for channel, value in zip(normal, found):
            channel.index_copy_(0, own, value)
    return normal


def locate(
    packed: PackedScenes, group: Group, directions: Tensor, distance: Tensor, slot: Tensor
) -> Surface:
    """Surface at `distance` [G, R] along unit `directions` [3, G, R], on the parts `slot`."""
    shape = distance.shape
    slots = packed.slots + 1
    base = (group.scene * packed.frames + group.frame) * slots
    flat = (base[:, None] + slot).reshape(-1)
    scene = group.scene[:, None].expand(shape).reshape(-1)
    part = (scene * slots + slot.reshape(-1)).contiguous()
    m = [c.index_select(0, flat) for c in packed.to_unit.reshape(-1, 9).t().contiguous()]
    centre = [c.index_select(0, flat) for c in packed.centre.reshape(-1, 3).t().contiguous()]
    half = [c.index_select(0, part) for c in packed.half.reshape(-1, 3).t().contiguous()]
    point = group.origin.t()[:, :, None] + directions * distance
    offset = [p.reshape(-1) - c for p, c in zip(point, centre)]
    q = [m[i] * offset[0] + m[i + 1] * offset[1] + m[i + 2] * offset[2] for i in (0, 3, 6)]
    n = _unit_normals(packed, slot.reshape(-1), q, packed.shape.reshape(-1).index_select(0, part))
    world = torch.stack([m[i] * n[0] + m[i + 3] * n[1] + m[i + 6] * n[2] for i in range(3)])
    d = directions.reshape(3, -1)
    towards = world[0] * d[0] + world[1] * d[1] + world[2] * d[2]
    length = (world[0] ** 2 + world[1] ** 2 + world[2] ** 2).sqrt().clamp(min=1e-12)
    world = world * (-towards.sign() / length)

    on_room = slot.reshape(-1) == packed.slots
    a = [v.abs() for v in n]
    face = 2 * (a[1] > 0.5).long() + 4 * (a[2] > 0.5).long()
    face = face + ((n[0] + n[1] + n[2]) > 0).long()
    material = packed.material.reshape(-1).index_select(
        0, scene * (packed.slots + 6) + slot.reshape(-1) + face * on_room
    )
    gap = None
    for v, h, on in zip(q, half, a):
        g = (1.0 - v.abs()) * h + on * 10.0
        gap = g if gap is None else torch.minimum(gap, g)
    local = torch.stack([v * h for v, h in zip(q, half)])
    local_normal = torch.stack([v / h for v, h in zip(n, half)])
    return Surface(
        point,
        world.view(3, *shape),
        local.view(3, *shape),
        local_normal.view(3, *shape),
        material.view(shape),
        (gap + 10.0 * ~on_room).view(shape),
    )
