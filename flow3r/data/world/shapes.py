"""Ray against primitive, in closed form, in each primitive's unit frame (see scene.Part).

Components are separate tensors [n] (structure of arrays), which is what makes plain element-wise
operations fast. `direction` need not be a unit vector: t counts in lengths of it, so that t stays
in world units when ray and origin are mapped into the unit frame by the same linear map.
Every function returns the smallest t > NEAR at which the ray meets the surface, or FAR.
Only element-wise operations: a ray's result does not depend on the rays computed with it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.data.world.scene import BOWL, BOX, CYLINDER, ELLIPSOID, TUBE

FAR = 1e9
NEAR = 1e-4
Triple = tuple[Tensor, Tensor, Tensor]


def hit_box(origin: Triple, direction: Triple, shape: Tensor) -> Tensor:
    """Slab test; from inside, the exit."""
    near, far = None, None
    for o, d in zip(origin, direction):
        inverse = 1.0 / (d + (d == 0) * 1e-12)
        middle = -o * inverse
        reach = inverse.abs()
        low, high = middle - reach, middle + reach
        near = low if near is None else torch.maximum(near, low)
        far = high if far is None else torch.minimum(far, high)
    missed = (far < near) | (far <= NEAR)
    inside = near <= NEAR
    t = near + (far - near) * inside
    return t.masked_fill_(missed, FAR)


def _closest(origin: Triple, direction: Triple) -> tuple[Tensor, Triple, Tensor]:
    """(t, point, |direction|^2) of the point of the ray closest to the part's centre.

    Quadratics are solved about this point: about a far origin, float32 would cancel.
    """
    ox, oy, oz = origin
    dx, dy, dz = direction
    square = dx * dx + dy * dy + dz * dz
    t = -(ox * dx + oy * dy + oz * dz) / square
    return t, (ox + t * dx, oy + t * dy, oz + t * dz), square


def _first(candidates: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Smallest t > NEAR over (t, valid) candidates."""
    best = None
    for t, valid in candidates:
        t = t.masked_fill(~(valid & (t > NEAR)), FAR)
        best = t if best is None else torch.minimum(best, t)
    return best


def hit_ellipsoid(origin: Triple, direction: Triple, shape: Tensor) -> Tensor:
    """Unit ball."""
    t, (x, y, z), square = _closest(origin, direction)
    room = 1.0 - (x * x + y * y + z * z)
    half = (room.clamp(min=0) / square).sqrt()
    near, far = t - half, t + half
    result = near + (far - near) * (near <= NEAR)
    return result.masked_fill_((room < 0) | (far <= NEAR), FAR)


def _side(point: Triple, direction: Triple, a0: Tensor, slope: Tensor | float) -> tuple:
    """Both t at which x^2 + y^2 = (a0 - slope z)^2, and whether they exist."""
    x, y, z = point
    dx, dy, dz = direction
    radius = a0 - slope * z
    a = dx * dx + dy * dy - (slope * dz) ** 2
    a = a + (a == 0) * 1e-12
    b = x * dx + y * dy + slope * dz * radius
    c = x * x + y * y - radius * radius
    discriminant = b * b - a * c
    root = discriminant.clamp(min=0).sqrt()
    return (-b - root) / a, (-b + root) / a, discriminant >= 0


def _caps(point: Triple, direction: Triple) -> list[tuple[Tensor, Tensor, float]]:
    """(t, squared distance from the axis, z) where the ray meets the planes z = -1 and z = 1."""
    x, y, z = point
    dx, dy, dz = direction
    inverse = 1.0 / (dz + (dz == 0) * 1e-12)
    found = []
    for plane in (-1.0, 1.0):
        t = (plane - z) * inverse
        found.append((t, (x + t * dx) ** 2 + (y + t * dy) ** 2, plane))
    return found


def hit_cylinder(origin: Triple, direction: Triple, shape: Tensor) -> Tensor:
    """Capped cylinder or truncated cone: radius 1 at z = -1, `shape` at z = 1."""
    t0, point, _ = _closest(origin, direction)
    a0, slope = (1 + shape) / 2, (1 - shape) / 2
    low, high, real = _side(point, direction, a0, slope)
    candidates = []
    for t in (low, high):
        z = point[2] + t * direction[2]
        candidates.append((t0 + t, real & (z.abs() <= 1)))
    for t, square, plane in _caps(point, direction):
        radius = a0 - slope * plane
        candidates.append((t0 + t, square <= radius * radius))
    return _first(candidates)


def hit_tube(origin: Triple, direction: Triple, shape: Tensor) -> Tensor:
    """Cylinder of radius 1 with a hole of radius `shape` along its axis."""
    t0, point, _ = _closest(origin, direction)
    candidates = []
    for radius in (torch.ones_like(shape), shape):
        low, high, real = _side(point, direction, radius, 0.0)
        for t in (low, high):
            z = point[2] + t * direction[2]
            candidates.append((t0 + t, real & (z.abs() <= 1)))
    for t, square, _ in _caps(point, direction):
        candidates.append((t0 + t, (square <= 1) & (square >= shape * shape)))
    return _first(candidates)


def hit_bowl(origin: Triple, direction: Triple, shape: Tensor) -> Tensor:
    """Lower half of the unit ball, hollowed by a ball of radius `shape`, with a flat rim."""
    t0, (x, y, z), square = _closest(origin, direction)
    dx, dy, dz = direction
    rest = x * x + y * y + z * z
    candidates = []
    for radius_square in (1.0, shape * shape):
        room = radius_square - rest
        half = (room.clamp(min=0) / square).sqrt()
        for t in (-half, half):
            candidates.append((t0 + t, (room >= 0) & (z + t * dz <= 0)))
    t = -z / (dz + (dz == 0) * 1e-12)
    rim = (x + t * dx) ** 2 + (y + t * dy) ** 2
    candidates.append((t0 + t, (rim <= 1) & (rim >= shape * shape)))
    return _first(candidates)


HIT = {
    BOX: hit_box,
    ELLIPSOID: hit_ellipsoid,
    CYLINDER: hit_cylinder,
    TUBE: hit_tube,
    BOWL: hit_bowl,
}


def _dominant(point: Triple) -> Triple:
    """The signed axis along which the point lies furthest out (box normal)."""
    x, y, z = point
    ax, ay, az = x.abs(), y.abs(), z.abs()
    on_x = (ax >= ay) & (ax >= az)
    on_y = ~on_x & (ay >= az)
    on_z = ~(on_x | on_y)
    return x.sign() * on_x, y.sign() * on_y, z.sign() * on_z


def _cylinder_normal(point: Triple, shape: Tensor) -> Triple:
    x, y, z = point
    a0, slope = (1 + shape) / 2, (1 - shape) / 2
    radial = (x * x + y * y).sqrt()
    cap = (z.abs() - 1).abs() < (radial - (a0 - slope * z)).abs()
    side = ~cap
    return x * side, y * side, slope * radial * side + z.sign() * cap


def _tube_normal(point: Triple, shape: Tensor) -> Triple:
    x, y, z = point
    radial = (x * x + y * y).sqrt()
    outer, inner, cap = (radial - 1).abs(), (radial - shape).abs(), (z.abs() - 1).abs()
    on_cap = cap < torch.minimum(outer, inner)
    sign = (1.0 - 2.0 * (inner < outer)) * ~on_cap
    return x * sign, y * sign, z.sign() * on_cap


def _bowl_normal(point: Triple, shape: Tensor) -> Triple:
    x, y, z = point
    radius = (x * x + y * y + z * z).sqrt()
    outer, inner = (radius - 1).abs(), (radius - shape).abs()
    on_rim = z.abs() < torch.minimum(outer, inner)
    sign = (1.0 - 2.0 * (inner < outer)) * ~on_rim
    return x * sign, y * sign, z * sign + on_rim


def unit_normal(kind: int, point: Triple, shape: Tensor) -> Triple:
    """Outward normal direction (any length) in the unit frame at a point of the surface."""
    if kind == BOX:
        return _dominant(point)
    if kind == ELLIPSOID:
        return point
    if kind == CYLINDER:
        return _cylinder_normal(point, shape)
    return _tube_normal(point, shape) if kind == TUBE else _bowl_normal(point, shape)
