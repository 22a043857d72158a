"""Furniture and objects as groups of parts. Body frame: x width, y depth (back at +y), z up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flow3r.data.world.scene import BOWL, BOX, CYLINDER, ELLIPSOID, TUBE, Array, Part

Rng = np.random.Generator
Parts = list[Part]


def _box(x: tuple, y: tuple, z: tuple, material: int) -> Part:
    half = tuple((b - a) / 2 for a, b in (x, y, z))
    centre = tuple((b + a) / 2 for a, b in (x, y, z))
    return Part(BOX, half, centre, material)


def _legs(w: float, d: float, top: float, r: float, material: int) -> Parts:
    return [
        _box((x - r, x + r), (y - r, y + r), (0.0, top), material)
        for x in (-w + r, w - r)
        for y in (-d + r, d - r)
    ]


def table(rng: Rng, a: int, b: int) -> Parts:
    w, d, h = rng.uniform(0.5, 0.85), rng.uniform(0.35, 0.5), rng.uniform(0.65, 0.8)
    return [_box((-w, w), (-d, d), (h - 0.06, h), a), *_legs(w, d, h - 0.06, 0.05, b)]


def bench(rng: Rng, a: int, b: int) -> Parts:
    w, d, h = rng.uniform(0.55, 0.9), rng.uniform(0.22, 0.3), rng.uniform(0.42, 0.5)
    sides = [_box((s - 0.06, s + 0.06), (-d, d), (0.0, h - 0.08), b) for s in (-w + 0.1, w - 0.1)]
    return [_box((-w, w), (-d, d), (h - 0.08, h), a), *sides]


def shelf(rng: Rng, a: int, b: int) -> Parts:
    w, d, h = rng.uniform(0.4, 0.65), rng.uniform(0.15, 0.22), rng.uniform(1.2, 1.9)
    sides = [_box((s - 0.03, s + 0.03), (-d, d), (0.0, h), a) for s in (-w, w)]
    boards = [_box((-w, w), (-d, d), (z, z + 0.05), a) for z in (0.08, 0.5 * h, h - 0.05)]
    return [*sides, *boards, _box((-w, w), (d - 0.04, d), (0.0, h), b)]


def crates(rng: Rng, a: int, b: int) -> Parts:
    s = rng.uniform(0.28, 0.4)
    t = s * rng.uniform(0.7, 0.9)
    turn = rng.uniform(-0.6, 0.6)
    c, n = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, -n, 0.0], [n, c, 0.0], [0.0, 0.0, 1.0]])
    top = Part(BOX, (t, t, t * 0.8), (0.05, 0.0, 2 * s + 0.8 * t), b, rotation=rotation)
    return [_box((-s, s), (-s, s), (0.0, 2 * s), a), top]


def stool(rng: Rng, a: int, b: int) -> Parts:
    r, h = rng.uniform(0.2, 0.28), rng.uniform(0.45, 0.7)
    return [
        Part(CYLINDER, (r, r, 0.04), (0.0, 0.0, h), a),
        Part(CYLINDER, (0.06, 0.06, h / 2), (0.0, 0.0, h / 2), b),
        Part(CYLINDER, (r * 0.8, r * 0.8, 0.03), (0.0, 0.0, 0.03), b),
    ]


def sofa(rng: Rng, a: int, b: int) -> Parts:
    w, d, h = rng.uniform(0.7, 1.0), rng.uniform(0.38, 0.45), rng.uniform(0.36, 0.44)
    arms = [_box((s - 0.1, s + 0.1), (-d, d), (0.05, h + 0.2), a) for s in (-w + 0.1, w - 0.1)]
    back = _box((-w, w), (d - 0.2, d), (0.05, h + 0.42), a)
    return [_box((-w + 0.2, w - 0.2), (-d, d - 0.2), (0.05, h), b), *arms, back]


def cabinet(rng: Rng, a: int, b: int) -> Parts:
    w, d, h = rng.uniform(0.35, 0.6), rng.uniform(0.2, 0.28), rng.uniform(0.8, 1.7)
    doors = [
        _box((x0, x1), (-d - 0.02, -d), (0.12, h - 0.08), b)
        for x0, x1 in ((-w + 0.04, -0.02), (0.02, w - 0.04))
    ]
    return [_box((-w, w), (-d, d), (0.0, h), a), *doors]


def lamp(rng: Rng, a: int, b: int) -> Parts:
    h, r = rng.uniform(1.2, 1.6), rng.uniform(0.2, 0.28)
    return [
        Part(ELLIPSOID, (r * 0.8, r * 0.8, 0.1), (0.0, 0.0, 0.05), b),
        Part(CYLINDER, (0.035, 0.035, h / 2), (0.0, 0.0, h / 2), b),
        Part(CYLINDER, (r, r, 0.18), (0.0, 0.0, h + 0.1), a, shape=0.6),
    ]


FURNITURE: dict[str, Callable[[Rng, int, int], Parts]] = {
    "table": table,
    "bench": bench,
    "shelf": shelf,
    "crates": crates,
    "stool": stool,
    "sofa": sofa,
    "cabinet": cabinet,
    "lamp": lamp,
}


def _ratios(rng: Rng, low: float) -> Array:
    return rng.uniform(low, 1.0, size=3)


def block(rng: Rng, a: int, b: int) -> Parts:
    return [Part(BOX, tuple(0.75 * _ratios(rng, 0.6)), (0.0, 0.0, 0.0), a)]


def drum(rng: Rng, a: int, b: int) -> Parts:
    r, h = rng.uniform(0.5, 0.75), rng.uniform(0.5, 0.85)
    return [Part(CYLINDER, (r, r, h), (0.0, 0.0, 0.0), a)]


def arch(rng: Rng, a: int, b: int) -> Parts:
    t, d = rng.uniform(0.2, 0.28), rng.uniform(0.25, 0.45)
    pillars = [_box((s - t, s + t), (-d, d), (-0.8, 0.35), a) for s in (-0.75 + t, 0.75 - t)]
    return [*pillars, _box((-0.75, 0.75), (-d, d), (0.35, 0.8), b)]


def steps(rng: Rng, a: int, b: int) -> Parts:
    d = rng.uniform(0.4, 0.65)
    return [
        _box((-0.75, 0.75), (-d, d), (-0.6, -0.2), a),
        _box((-0.75, 0.25), (-d, d), (-0.2, 0.2), b),
        _box((-0.75, -0.25), (-d, d), (0.2, 0.6), a),
    ]


def egg(rng: Rng, a: int, b: int) -> Parts:
    return [Part(ELLIPSOID, tuple(_ratios(rng, 0.6)), (0.0, 0.0, 0.0), a)]


def cone(rng: Rng, a: int, b: int) -> Parts:
    r = rng.uniform(0.6, 0.8)
    return [Part(CYLINDER, (r, r, 0.75), (0.0, 0.0, 0.0), a, shape=rng.uniform(0.15, 0.5))]


def ring(rng: Rng, a: int, b: int) -> Parts:
    return [
        Part(TUBE, (0.9, 0.9, rng.uniform(0.3, 0.5)), (0.0, 0.0, 0.0), a, rng.uniform(0.5, 0.68))
    ]


def cross(rng: Rng, a: int, b: int) -> Parts:
    t = rng.uniform(0.24, 0.34)
    long = 0.88
    return [
        Part(BOX, (long, t, t), (0.0, 0.0, 0.0), a),
        Part(BOX, (t, t, long), (0.0, 0.0, 0.0), b),
    ]


def bowl(rng: Rng, a: int, b: int) -> Parts:
    half = (0.95, 0.95, rng.uniform(0.8, 1.0))
    return [Part(BOWL, half, (0.0, 0.0, 0.35), a, rng.uniform(0.75, 0.88))]


SHAPES: dict[str, Callable[[Rng, int, int], Parts]] = {
    "block": block,
    "drum": drum,
    "arch": arch,
    "steps": steps,
    "egg": egg,
    "cone": cone,
    "ring": ring,
    "cross": cross,
    "bowl": bowl,
}
"""Objects of about unit bounding radius, centred on their body's origin."""


def scaled(parts: Parts, factor: float) -> Parts:
    """The same group, `factor` times as large."""
    return [
        Part(
            p.kind,
            tuple(factor * v for v in p.half),
            tuple(factor * v for v in p.centre),
            p.material,
            p.shape,
            p.rotation,
        )
        for p in parts
    ]
