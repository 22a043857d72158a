"""Light on surfaces: ambient, lamps with shadows, a mild highlight; linear colour out."""

from __future__ import annotations

from torch import Tensor

from flow3r.data.world.materials import GLOSS
from flow3r.data.world.pack import PackedScenes
from flow3r.data.world.raycast import Group, blocked
from flow3r.data.world.surface import Surface
from flow3r.data.world.textures import albedo

_LIFT = 2e-3  # metres; how close to the lit point an occluder may be without shading it


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _lamp(
    packed: PackedScenes, group: Group, surface: Surface, view: Tensor, index: int, shadows: bool
) -> tuple[Tensor, Tensor]:
    """Diffuse and specular response [G, R] to one lamp, without its colour."""
    lamp = packed.lamps[group.scene, index]  # [G, 6]
    ray = surface.point - lamp[:, :3].t()[:, :, None]
    distance = _dot(ray, ray).sqrt().clamp(min=1e-3)
    ray = ray / distance
    facing = -_dot(surface.normal, ray)
    lit = (facing > 0) & (lamp[:, 3:].sum(-1) > 0)[:, None]
    if shadows:
        source = Group(group.scene, group.frame, lamp[:, :3])
        dark = blocked(packed, source, ray, distance - _LIFT, lit)
        lit = lit & ~dark
    strength = lit / (1.0 + (distance / 2.5) ** 2)
    halfway = -(ray + view)
    cosine = _dot(halfway, surface.normal) / _dot(halfway, halfway).sqrt().clamp(min=1e-3)
    highlight = cosine.clamp(min=0)
    for _ in range(4):
        highlight = highlight * highlight
    return facing.clamp(min=0) * strength, highlight * strength


def shade(
    packed: PackedScenes,
    group: Group,
    directions: Tensor,
    distance: Tensor,
    surface: Surface,
    pixel_angle: Tensor,
    shadow_lights: int,
) -> Tensor:
    """Linear radiance [3, G, R]. `pixel_angle` [G] is a pixel's width at unit distance."""
    cosine = -_dot(directions, surface.normal)
    footprint = distance * pixel_angle[:, None] / cosine.clamp(min=0.3)
    colour = albedo(
        surface.local.reshape(3, -1),
        surface.local_normal.reshape(3, -1),
        footprint.reshape(-1),
        surface.material.reshape(-1),
        packed.materials,
    ).view_as(directions)
    gloss = packed.materials[:, GLOSS].contiguous().index_select(0, surface.material.reshape(-1))
    gloss = gloss.view(distance.shape)
    # Corners of a room receive less of the light that its walls pass on.
    corner = 0.62 + 0.38 * (surface.crease / 0.5).clamp(0, 1)
    ambient = packed.ambient[group.scene].t()[:, :, None]
    total = colour * ambient * corner
    for index in range(packed.lamps.shape[1]):
        diffuse, highlight = _lamp(packed, group, surface, directions, index, index < shadow_lights)
        strength = packed.lamps[group.scene, index, 3:].t()[:, :, None]
        total = total + strength * (colour * diffuse + 0.35 * gloss * highlight)
    return total


def encode(linear: Tensor) -> Tensor:
    """Display values in [0, 1]: Reinhard's curve with a white point, gamma 2, a mild S-curve.

    No exp, sin or pow anywhere in the rendering: PyTorch's may round differently in the tail of a
    tensor, and a pixel's colour must not depend on how many pixels are computed with it.
    """
    bright = 1.6 * linear
    mapped = bright * (1.0 + bright / 6.25) / (1.0 + bright)
    display = mapped.clamp_(1e-5, 1.0).sqrt()
    return display + 0.45 * (display * display * (3.0 - 2.0 * display) - display)
