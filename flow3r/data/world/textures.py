"""Procedural textures in each part's own coordinates, so that they move with it.

A family maps a point to (a, b, tone): the colour goes from base to second by a, then to accent by
b, and is multiplied by tone.
Coordinates are in units of the material's feature size; `footprint` is the pixel's width there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flow3r.data.world.materials import COLOURS, FAMILIES, FAMILY, OFFSET, SCALE, VARIANT
from flow3r.data.world.noise import (
    cell_value,
    fade,
    fbm,
    nearest_cells,
    smooth,
    soft_step,
    value_noise,
    wave,
)
from flow3r.data.world.shapes import Triple


@dataclass(frozen=True)
class Spot:
    """Points of a surface, each [n], in units of the material's feature size."""

    solid: Triple
    u: Tensor
    v: Tensor
    """Coordinates on the face the point lies on; v is vertical on walls."""
    footprint: Tensor
    variant: Tensor
    """A uniform number per material."""


Mix = tuple[Tensor, Tensor, Tensor]


def _tone(spot: Spot, strength: float) -> Tensor:
    return 1.0 + strength * (fbm(spot.solid, spot.footprint, 3) - 0.5)


def _edge_distance(u: Tensor) -> Tensor:
    """Distance to the nearest integer."""
    return (u - u.round()).abs()


def marble(spot: Spot) -> Mix:
    x, y, z = spot.solid
    body = fbm(spot.solid, spot.footprint, 3)
    warped = (x * 0.7 + 1.6 * body, y * 0.7 - 1.2 * body, z * 0.7 + body)
    vein = 1.0 - (2.0 * fbm(warped, spot.footprint, 2) - 1.0).abs() * 2.2
    return smooth(0.3, 0.7, body), 0.85 * smooth(0.55, 0.95, vein), 1.0 + 0.15 * (body - 0.5)


def brick(spot: Spot) -> Mix:
    v = spot.v / 0.46
    row = v.floor()
    u = spot.u + 0.5 * (row - 2.0 * (row * 0.5).floor())
    i, j = u.floor().to(torch.int64), row.to(torch.int64)
    edge = torch.minimum(_edge_distance(u), 0.46 * _edge_distance(v))
    mortar = 1.0 - soft_step(edge, 0.045, spot.footprint.clamp(min=0.02))
    mortar = mortar * (0.3 + 0.7 * fade(0.46, spot.footprint))
    shown = fade(0.7, spot.footprint)
    a = 0.5 + (cell_value(i, j, 0) - 0.5) * shown
    return a, 0.9 * mortar, _tone(spot, 0.5) * (1 + 0.35 * (cell_value(i, j, 1) - 0.5) * shown)


def _bands(u: Tensor, footprint: Tensor, channel: int) -> Tensor:
    """A periodic sequence of bands of random tone, with soft edges."""
    low = u.floor()
    i = low.to(torch.int64)
    here = cell_value(i & 7, i & 0, channel)
    following = cell_value((i + 1) & 7, i & 0, channel)
    w = soft_step(u - low, 1.0 - 0.5 * footprint.clamp(max=1.0), footprint.clamp(min=0.05))
    return here + w * (following - here)


def plaid(spot: Spot) -> Mix:
    width = spot.footprint * 3.0
    warp, weft = _bands(spot.u * 3.0, width, 0), _bands(spot.v * 3.0, width, 1)
    shown = fade(0.66, spot.footprint)
    a = 0.5 + (0.5 * (warp + weft) - 0.5) * 1.5 * (0.4 + 0.6 * shown)
    line = torch.minimum(_edge_distance(spot.u / 1.7 + 0.3), _edge_distance(spot.v / 1.7 + 0.1))
    thread = 1.0 - soft_step(line, 0.05, spot.footprint.clamp(min=0.02))
    fine = wave(spot.u * 14.0) * wave(spot.v * 14.0) * fade(0.07, spot.footprint)
    return a.clamp(0, 1), 0.8 * thread, _tone(spot, 0.35) * (1.0 + 0.12 * fine)


def terrazzo(spot: Spot) -> Mix:
    near, _, kind, size = nearest_cells(spot.u * 2.0, spot.v * 2.0)
    width = (2.0 * spot.footprint).clamp(min=0.04)
    chip = 1.0 - soft_step(near, 0.22 + 0.3 * size, width)
    chip = chip * (0.25 + 0.75 * fade(0.5, spot.footprint))
    dark = soft_step(kind, 0.45, torch.full_like(kind, 0.02))
    return chip * dark, chip * (1.0 - dark), _tone(spot, 0.55)


def wood(spot: Spot) -> Mix:
    plank = (spot.u / 0.6).floor()
    i = plank.to(torch.int64)
    shift = cell_value(i, i & 0, 2)
    x, y, z = spot.solid
    along = (x + 7.0 * shift, y + 3.0 * shift, z * 0.35 + 9.0 * shift)
    warp = fbm(along, spot.footprint, 3)
    rings = (spot.u + 0.25 * spot.v + 1.4 * warp) * (1.6 + spot.variant)
    a = 0.5 + 0.5 * wave(rings) * fade(0.5, spot.footprint)
    gap = 1.0 - soft_step(0.6 * _edge_distance(spot.u / 0.6), 0.02, spot.footprint.clamp(min=0.02))
    tone = 1.0 + 0.5 * (shift - 0.5) * fade(0.6, spot.footprint) + 0.4 * (warp - 0.5)
    return 0.9 * a * (0.4 + 0.6 * warp), 0.25 * shift, tone * (1.0 - 0.6 * gap)


def tiles(spot: Spot) -> Mix:
    u, v = spot.u * 1.25, spot.v * 1.25
    i, j = u.floor().to(torch.int64), v.floor().to(torch.int64)
    width = (1.25 * spot.footprint).clamp(min=0.02)
    cu, cv = u - u.floor() - 0.5, v - v.floor() - 0.5
    grout = soft_step(torch.maximum(cu.abs(), cv.abs()), 0.465, width)
    diamond = 1.0 - soft_step(cu.abs() + cv.abs(), 0.2 + 0.25 * spot.variant, width)
    shown = fade(0.8, spot.footprint)
    tone = 1.0 + 0.5 * (cell_value(i, j, 3) - 0.5) * shown
    chosen = cell_value(i, j, 1) * shown
    return (
        (chosen + (1.0 - 2.0 * chosen) * diamond * shown).clamp(0, 1),
        0.8 * grout,
        (tone * _tone(spot, 0.4)),
    )


def leaves(spot: Spot) -> Mix:
    wobble = value_noise(spot.solid) - 0.5
    near, second, kind, size = nearest_cells(1.7 * spot.u + wobble, 1.3 * spot.v - wobble)
    width = (1.5 * spot.footprint).clamp(min=0.03)
    border = 1.0 - soft_step(second - near, 0.08, width)
    shown = fade(0.7, spot.footprint)
    a = 0.5 + (kind - 0.5) * (0.3 + 0.7 * shown)
    vein = 1.0 + 0.3 * (0.5 - near) * shown
    return a, border * (0.3 + 0.7 * shown), vein * (0.85 + 0.3 * size) * _tone(spot, 0.3)


def canvas(spot: Spot) -> Mix:
    x, y, z = spot.solid
    width = (0.5 * spot.footprint).clamp(min=0.03)
    first = fbm((0.8 * x, 0.8 * y, 0.8 * z), spot.footprint, 2)
    second = fbm((1.1 * y + 5.1, 1.1 * z + 2.7, 1.1 * x + 8.9), spot.footprint, 2)
    stroke = value_noise((6.0 * (spot.u + spot.v), 1.5 * (spot.u - spot.v), 0.0 * x)) - 0.5
    tone = 1.0 + 0.35 * stroke * fade(0.33, spot.footprint) + 0.3 * (first - 0.5)
    return soft_step(first, 0.48, width), soft_step(second, 0.56, width), tone


def stripes(spot: Spot) -> Mix:
    phase = spot.u * 2.2 + 0.25 * wave(spot.v * 0.38) + 0.5 * (value_noise(spot.solid) - 0.5)
    i = phase.floor().to(torch.int64)
    width = (2.2 * spot.footprint).clamp(min=0.03)
    edge = _edge_distance(phase)
    line = 1.0 - soft_step(edge, 0.09, width)
    a = 0.5 + (cell_value(i, i & 0, 1) - 0.5) * 1.6 * fade(0.7, spot.footprint)
    dots = ((phase - phase.floor() - 0.5) ** 2 + (_edge_distance(spot.v * 2.0) * 0.9) ** 2).sqrt()
    spot_of = (1.0 - soft_step(dots, 0.2, width)) * (cell_value(i, i & 0, 2) > 0.5)
    return a.clamp(0, 1), torch.maximum(line * 0.6, 0.9 * spot_of), _tone(spot, 0.4)


def quilt(spot: Spot) -> Mix:
    u, v = spot.u * 1.1, spot.v * 1.1
    i, j = u.floor().to(torch.int64), v.floor().to(torch.int64)
    width = (3.0 * spot.footprint).clamp(min=0.03)
    pick = cell_value(i, j, 0)
    cu, cv = u - u.floor(), v - v.floor()
    inner = (pick > 0.5) * (cu + cv) + (pick <= 0.5) * (cu - cv + 1.0)
    a = soft_step(_edge_distance(inner * 1.5) * 2.0, 0.5, width)
    seam = soft_step(torch.maximum((cu - 0.5).abs(), (cv - 0.5).abs()), 0.47, width)
    shown = fade(0.9, spot.footprint)
    b = torch.maximum(0.5 * seam, (cell_value(i, j, 1) - 0.45).clamp(min=0) * shown * 1.5)
    tone = 1.0 + 0.55 * (cell_value(i, j, 2) - 0.5) * shown
    return 0.5 + (a - 0.5) * shown, b.clamp(0, 1), tone * _tone(spot, 0.4)


_PATTERNS: dict[str, Callable[[Spot], Mix]] = {
    "marble": marble,
    "brick": brick,
    "plaid": plaid,
    "terrazzo": terrazzo,
    "wood": wood,
    "tiles": tiles,
    "leaves": leaves,
    "canvas": canvas,
    "stripes": stripes,
    "quilt": quilt,
}


def _face_coordinates(solid: Triple, normal: Triple) -> tuple[Tensor, Tensor]:
    """(u, v) on the axis plane the local normal faces most: no stretching on any side of a part."""
    x, y, z = solid
    ax, ay, az = (n.abs() for n in normal)
    on_x = (ax >= ay) & (ax >= az)
    on_z = ~on_x & (az > ay)
    u = x + (y - x) * on_x
    v = z + (y - z) * on_z
    return u, v


def albedo(
    local: Tensor, normal: Tensor, footprint: Tensor, material: Tensor, materials: Tensor
) -> Tensor:
    """Linear colour [3, n] at points given in part coordinates.

    local, normal [3, n] (metres; any length), footprint [n] in metres, material [n] rows of
    `materials` [rows, COLUMNS].
    """
    columns = materials.t().contiguous()
    family = columns[FAMILY].index_select(0, material)
    colour = torch.empty_like(local)
    for number, name in enumerate(FAMILIES):
        chosen = (family == number).nonzero().squeeze(1)
        if chosen.numel() == 0:
            continue
        rows = material.index_select(0, chosen)
        scale = columns[SCALE].index_select(0, rows)
        solid = tuple(
            p.index_select(0, chosen) / scale + offset.index_select(0, rows)
            for p, offset in zip(local, columns[OFFSET])
        )
        u, v = _face_coordinates(solid, tuple(n.index_select(0, chosen) for n in normal))
        spot = Spot(
            solid,
            u,
            v,
            footprint.index_select(0, chosen) / scale,
            columns[VARIANT].index_select(0, rows),
        )
        a, b, tone = _PATTERNS[name](spot)
        for channel in range(3):
            base, second, accent = (c.index_select(0, rows) for c in columns[COLOURS][channel::3])
            mixed = base + a * (second - base)
            colour[channel].index_copy_(0, chosen, (mixed + b * (accent - mixed)) * tone)
    return colour.clamp_(0.01, 1.0)
