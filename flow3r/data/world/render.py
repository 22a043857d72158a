"""Images of packed scenes. Textures are filtered where they are evaluated; object and shadow edges
are not, so pixels on edges are sampled again, several times, and averaged."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.data.world.config import WorldConfig
from flow3r.data.world.pack import PackedScenes
from flow3r.data.world.raycast import cast_first
from flow3r.data.world.sensor import vignette
from flow3r.data.world.shading import encode, shade
from flow3r.data.world.surface import locate
from flow3r.data.world.truth import camera_rays

_CONTRAST = 0.22  # difference of display values between neighbours that counts as an edge


def pixel_grid(height: int, width: int, device: torch.device | str) -> Tensor:
    """Pixel coordinates (x, y) [2, H * W], row by row."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=torch.float32),
        torch.arange(width, device=device, dtype=torch.float32),
        indexing="ij",
    )
    return torch.stack([x.reshape(-1), y.reshape(-1)])


def _colour(
    config: WorldConfig, packed: PackedScenes, pixels: Tensor, gain: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Display values [3, G, R] through `pixels` ([2, R] or [2, G, R]), distance, slot and z."""
    group, directions, z = camera_rays(packed, pixels)
    distance, slot = cast_first(packed, group, directions)
    surface = locate(packed, group, directions, distance, slot)
    angle = 1.0 / packed.intrinsics[group.scene, 0, 0]
    linear = shade(packed, group, directions, distance, surface, angle, config.shadow_lights)
    light = gain.t()[:, :, None] * vignette(config, pixels)
    return encode(linear * light), distance, slot, z


def _on_edge(colour: Tensor, slot: Tensor) -> Tensor:
    """Pixels [G, H, W] that differ from a neighbour in part, or strongly in colour.

    colour [3, G, H, W], slot [G, H, W].
    """
    edge = torch.zeros_like(slot, dtype=torch.bool)
    for axis in (1, 2):
        length = slot.shape[axis] - 1
        differs = slot.narrow(axis, 0, length) != slot.narrow(axis, 1, length)
        step = colour.narrow(axis + 1, 0, length) - colour.narrow(axis + 1, 1, length)
        differs |= (step.abs() > _CONTRAST).any(0)
        edge.narrow(axis, 0, length).logical_or_(differs)
        edge.narrow(axis, 1, length).logical_or_(differs)
    return edge


def _edge_pixels(edge: Tensor) -> tuple[Tensor, Tensor]:
    """Indices [G, E] of each group's edge pixels among its H * W, padded, and which are real."""
    flat = edge.flatten(1)
    most = int(flat.sum(1).max())
    index = flat.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
    return index, flat.gather(1, index)


def _resample(config: WorldConfig, packed: PackedScenes, gain: Tensor, index: Tensor) -> Tensor:
    """Mean of supersample^2 samples, spread over the pixel, of the pixels `index` [G, E]."""
    n = config.supersample
    pixels = pixel_grid(config.height, config.width, index.device)[:, index]  # [2, G, E]
    steps = [(i + 0.5) / n - 0.5 for i in range(n)]
    shifts = torch.tensor([(x, y) for y in steps for x in steps], device=index.device)
    samples = (pixels[..., None] + shifts.t()[:, None, None]).flatten(2)  # [2, G, E * n^2]
    colour = _colour(config, packed, samples, gain)[0].unflatten(2, (-1, n * n))
    total = colour[..., 0]
    for sample in range(1, n * n):
        total = total + colour[..., sample]
    return total / n**2


def render(
    config: WorldConfig, packed: PackedScenes, gain: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Display values [3, G, H * W], and of the pixel centres: distance, slot, ray z, [G, H * W].

    gain [G, 3] multiplies the light of each group (a frame of a scene).
    """
    height, width = config.height, config.width
    pixels = pixel_grid(height, width, packed.centre.device)
    colour, distance, slot, z = _colour(config, packed, pixels, gain)
    if config.supersample > 1:
        groups = slot.shape[0]
        edge = _on_edge(colour.view(3, groups, height, width), slot.view(groups, height, width))
        index, real = _edge_pixels(edge)
        better = _resample(config, packed, gain, index)
        for channel, values in zip(colour, better):
            old = channel.gather(1, index)
            channel.scatter_(1, index, torch.where(real, values, old))
    return colour, distance, slot, z
