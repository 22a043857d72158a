"""Smooth random functions of position, from small fixed tables of random numbers."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from flow3r.data.world.shapes import Triple
from flow3r.streams import numpy_generator

_CELLS = 32
_HASH = 64


@lru_cache(maxsize=8)
def _lattice(device: torch.device) -> Tensor:
    values = numpy_generator(0, "world/noise-lattice").random(_CELLS**3, dtype="float32")
    return torch.from_numpy(values).to(device)


@lru_cache(maxsize=8)
def _hash(device: torch.device, channel: int) -> Tensor:
    values = numpy_generator(0, "world/cell-hash", channel).random(_HASH**2, dtype="float32")
    return torch.from_numpy(values).to(device)


def cell_value(i: Tensor, j: Tensor, channel: int) -> Tensor:
    """A uniform number in [0, 1) for each integer cell (periodic with 64)."""
    index = ((i & (_HASH - 1)) << 6) | (j & (_HASH - 1))
    return _hash(i.device, channel).index_select(0, index)


def fade(wavelength: float | Tensor, footprint: Tensor) -> Tensor:
    """How much of a pattern of this wavelength a pixel of this footprint resolves: 0 ... 1."""
    return (wavelength / footprint / 1.5 - 1.0).clamp_(0.0, 1.0)


def _corner(v: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Table offsets of the two lattice points about v, and the smooth weight of the second."""
    low = v.floor()
    w = v - low
    i = low.to(torch.int64)
    return (i & (_CELLS - 1)) * step, ((i + 1) & (_CELLS - 1)) * step, w * w * (3.0 - 2.0 * w)


def value_noise(point: Triple) -> Tensor:
    """Value noise in [0, 1], mean 0.5, one lattice cell per unit (wavelength about 2)."""
    table = _lattice(point[0].device)
    x0, x1, wx = _corner(point[0], _CELLS * _CELLS)
    y0, y1, wy = _corner(point[1], _CELLS)
    z0, z1, wz = _corner(point[2], 1)
    planes = []
    for x in (x0, x1):
        lines = []
        for y in (y0, y1):
            base = x + y
            a = table.index_select(0, base + z0)
            lines.append(a + wz * (table.index_select(0, base + z1) - a))
        planes.append(lines[0] + wy * (lines[1] - lines[0]))
    return planes[0] + wx * (planes[1] - planes[0])


def fbm(point: Triple, footprint: Tensor, octaves: int = 3) -> Tensor:
    """Octaves of value noise, halving in wavelength and amplitude; about 0 ... 1, mean 0.5.

    An octave fades out where its wavelength falls below the pixel's footprint.
    """
    total, frequency, amplitude = 0.5, 1.0, 0.62
    for octave in range(octaves):
        shifted = tuple(v * frequency + 11.3 * octave for v in point)
        weight = fade(2.0 / frequency, footprint) * amplitude
        total = total + (value_noise(shifted) - 0.5) * weight
        frequency, amplitude = frequency * 2.0, amplitude * 0.55
    return total


def smooth(low: float, high: float, v: Tensor) -> Tensor:
    """Smoothstep."""
    w = ((v - low) / (high - low)).clamp_(0.0, 1.0)
    return w * w * (3.0 - 2.0 * w)


def wave(phase: Tensor) -> Tensor:
    """Nearly a sine of period 1, from parabolas (torch.sin may round by its place in a tensor)."""
    s = 2.0 * (phase - phase.round())
    return 4.0 * s * (1.0 - s.abs())


def soft_step(v: Tensor, edge: float | Tensor, width: Tensor) -> Tensor:
    """0 below, 1 above `edge`, blended over a pixel's footprint `width`."""
    return ((v - edge) / width + 0.5).clamp_(0.0, 1.0)


def nearest_cells(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Voronoi cells of jittered grid points: distance to the nearest point, to the second nearest,
    and two uniform numbers of the nearest cell."""
    fu, fv = u.floor(), v.floor()
    iu, iv = fu.to(torch.int64), fv.to(torch.int64)
    first = torch.full_like(u, 9.0)
    second = torch.full_like(u, 9.0)
    cell = torch.zeros_like(iu)
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            i, j = iu + a, iv + b
            du = fu + a + 0.1 + 0.8 * cell_value(i, j, 0) - u
            dv = fv + b + 0.1 + 0.8 * cell_value(i, j, 1) - v
            distance = du * du + dv * dv
            second = torch.minimum(second, torch.maximum(first, distance))
            key = ((i & (_HASH - 1)) << 6) | (j & (_HASH - 1))
            closer = distance < first
            cell = cell + (key - cell) * closer
            first = torch.minimum(first, distance)
    device = u.device
    return (
        first.sqrt(),
        second.sqrt(),
        _hash(device, 2).index_select(0, cell),
        _hash(device, 3).index_select(0, cell),
    )
