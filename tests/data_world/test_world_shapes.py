"""Ray-primitive intersections against closed forms and against brute-force marching."""

import math

import numpy as np
import pytest
import torch

from flow3r.data.world.scene import BOWL, BOX, CYLINDER, ELLIPSOID, KINDS, TUBE
from flow3r.data.world.shapes import FAR, HIT, unit_normal


def cast(kind, origin, direction, shape=1.0):
    o, d = torch.tensor(origin).float(), torch.tensor(direction).float()
    d = d / d.norm()
    t = HIT[kind](tuple(o[:, None]), tuple(d[:, None]), torch.tensor([float(shape)]))
    return float(t)


@pytest.mark.parametrize(
    ("kind", "origin", "direction", "shape", "expected"),
    [
        (BOX, (-3.0, 0.2, 0.4), (1.0, 0.0, 0.0), 1, 2.0),
        (BOX, (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 1, 1.0),
        (BOX, (-3.0, -3.0, 0.0), (1.0, 1.0, 0.0), 1, 2 * math.sqrt(2)),
        (BOX, (-3.0, 1.2, 0.0), (1.0, 0.0, 0.0), 1, FAR),
        (BOX, (3.0, 0.0, 0.0), (1.0, 0.0, 0.0), 1, FAR),
        (ELLIPSOID, (-3.0, 0.6, 0.0), (1.0, 0.0, 0.0), 1, 3 - 0.8),
        (ELLIPSOID, (0.0, 0.0, 0.5), (0.0, 0.0, 1.0), 1, 0.5),
        (ELLIPSOID, (-3.0, 1.01, 0.0), (1.0, 0.0, 0.0), 1, FAR),
        (CYLINDER, (-3.0, 0.6, 0.0), (1.0, 0.0, 0.0), 1, 3 - 0.8),
        (CYLINDER, (0.3, 0.2, 5.0), (0.0, 0.0, -1.0), 1, 4.0),
        (CYLINDER, (-3.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.5, 3 - 0.75),
        (CYLINDER, (0.7, 0.0, 5.0), (0.0, 0.0, -1.0), 0.5, 4.8),
        (TUBE, (0.0, 0.0, 5.0), (0.0, 0.0, -1.0), 0.5, FAR),
        (TUBE, (0.7, 0.0, 5.0), (0.0, 0.0, -1.0), 0.5, 4.0),
        (TUBE, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.5, 0.5),
        (TUBE, (-3.0, 0.0, 0.2), (1.0, 0.0, 0.0), 0.5, 2.0),
        (BOWL, (0.0, 0.0, 3.0), (0.0, 0.0, -1.0), 0.8, 3.8),
        (BOWL, (0.0, 0.0, -3.0), (0.0, 0.0, 1.0), 0.8, 2.0),
        (BOWL, (0.9, 0.0, 3.0), (0.0, 0.0, -1.0), 0.8, 3.0),
        (BOWL, (-3.0, 0.0, 0.5), (1.0, 0.0, 0.0), 0.8, FAR),
    ],
)
def test_known_distances(kind, origin, direction, shape, expected):
    # The tapered side at x = 0.7 lies where 0.75 - 0.25 z = 0.7, that is z = 0.2.
    assert cast(kind, origin, direction, shape) == pytest.approx(expected, abs=2e-5)


def inside(kind, p, shape):
    x, y, z = p[..., 0], p[..., 1], p[..., 2]
    radial = np.hypot(x, y)
    ball = np.sqrt(x * x + y * y + z * z)
    if kind == BOX:
        return np.abs(p).max(-1) <= 1
    if kind == ELLIPSOID:
        return ball <= 1
    if kind == CYLINDER:
        return (np.abs(z) <= 1) & (radial <= (1 + shape) / 2 - (1 - shape) / 2 * z)
    if kind == TUBE:
        return (np.abs(z) <= 1) & (radial <= 1) & (radial >= shape)
    return (z <= 0) & (ball <= 1) & (ball >= shape)


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_marching(kind):
    rng = np.random.default_rng(kind)
    shape = {CYLINDER: 0.4, TUBE: 0.6, BOWL: 0.75}.get(kind, 1.0)
    origin = rng.normal(size=(300, 3))
    origin = 4 * origin / np.linalg.norm(origin, axis=1, keepdims=True)
    direction = rng.uniform(-0.8, 0.8, size=(300, 3)) - origin
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    o, d = torch.from_numpy(origin).float(), torch.from_numpy(direction).float()
    t = HIT[kind](tuple(o.T), tuple(d.T), torch.full((300,), shape)).numpy()
    steps = np.arange(2.0, 6.5, 0.002)
    solid = inside(kind, origin[:, None] + steps[:, None] * direction[:, None], shape)
    hit = solid.any(1)
    marched = np.where(hit, steps[solid.argmax(1)], FAR)
    agrees = np.abs(marched - t) < 0.004
    # Marching misses slivers thinner than its step; nothing else may differ.
    assert agrees.mean() > 0.985
    assert np.all(t[~agrees] < marched[~agrees])
    assert hit.mean() > 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_normals_point_out_of_the_solid(kind):
    rng = np.random.default_rng(10 + kind)
    shape = {CYLINDER: 0.4, TUBE: 0.6, BOWL: 0.75}.get(kind, 1.0)
    origin = rng.normal(size=(200, 3))
    origin = 4 * origin / np.linalg.norm(origin, axis=1, keepdims=True)
    direction = rng.uniform(-0.6, 0.6, size=(200, 3)) - origin
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    o, d = torch.from_numpy(origin).float(), torch.from_numpy(direction).float()
    parameter = torch.full((200,), shape)
    t = HIT[kind](tuple(o.T), tuple(d.T), parameter)
    p = o + t[:, None] * d
    n = torch.stack(unit_normal(kind, tuple(p.T), parameter), 1)
    n = (n / n.norm(dim=1, keepdim=True))[t < FAR].numpy()
    p = p[t < FAR].numpy()
    assert not inside(kind, p + 2e-3 * n, shape).any()
    assert inside(kind, p - 2e-3 * n, shape).mean() > 0.97  # thin edges excepted
    assert ((n * direction[(t < FAR).numpy()]).sum(1) < 1e-4).all()
