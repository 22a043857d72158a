"""From a configuration and indices to clips with exact truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flow3r.data.world.config import WorldConfig
from flow3r.data.world.pack import PackedScenes, pack
from flow3r.data.world.render import pixel_grid, render
from flow3r.data.world.scene import Scene
from flow3r.data.world.selection import select_scenes
from flow3r.data.world.sensor import add_noise, gains
from flow3r.data.world.truth import camera_rays, pair_truth
from flow3r.errors import DataError

_SELECT_TOGETHER = 16
_RENDER_RAYS = 60_000  # pixels rendered in one go: few enough for the processor's cache


@dataclass(frozen=True)
class GeneratedClip:
    """One clip: N frames of H x W pixels, with exact truth. World = first camera."""

    images: Tensor  # [N, 3, H, W]
    """Float in [0, 1]."""
    depth: Tensor  # [N, H, W]
    """z along the optical axis, metres; positive everywhere."""
    intrinsics: Tensor  # [N, 3, 3]
    """Pixels; the same for all frames."""
    world_from_camera: Tensor  # [N, 4, 4]
    objects: Tensor  # [N, H, W]
    """int64; 0 = static structure (room, pictures, furniture), >= 1 = objects, the same in all
    frames."""
    moving: Tensor  # [N, H, W]
    """bool; pixels on moving objects."""
    scene: Scene = field(repr=False)
    """What was rendered; `flow` casts rays at it again."""
    packed: PackedScenes = field(repr=False)
    slot: Tensor = field(repr=False)  # [N, H, W]

    def flow(self, pairs: Tensor | Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Exact flow of ordered pairs (source, target) of frames [P, 2].

        Returns target_px [P, H, W, 2] (x, y of each source pixel's surface point in pixels of the
        target, also where it is hidden or outside; behind the camera the depth is clamped at 0.05,
        so it is finite) and covisibility [P, H, W] in {0, 1}: 1 where an exact ray from the target
        camera through that sub-pixel position meets that very surface point first.
        Raises DataError for a pair that names no frame.
        """
        device = self.images.device
        index = torch.as_tensor(pairs, dtype=torch.int64, device=device).reshape(-1, 2)
        frames, height, width = self.depth.shape
        if index.numel() and not (int(index.min()) >= 0 and int(index.max()) < frames):
            raise DataError(f"pairs={index.tolist()}: frames are numbered 0 ... {frames - 1}")
        group, directions, z = camera_rays(self.packed, pixel_grid(height, width, device))
        distance = self.depth.reshape(frames, -1) / z
        point = group.origin.t()[:, :, None] + directions * distance
        source = index[:, 0]
        target_px, covisibility = pair_truth(
            self.packed,
            torch.zeros_like(source),
            index,
            point[:, source],
            self.slot.reshape(frames, -1)[source],
            (height, width),
        )
        return target_px.view(-1, height, width, 2), covisibility.view(-1, height, width)


def generate_clip(
    config: WorldConfig, seed: int, index: int, device: torch.device | str = "cpu"
) -> GeneratedClip:
    """The clip of (config, seed, index); see `generate_clips`."""
    return generate_clips(config, seed, [index], device)[0]


def generate_clips(
    config: WorldConfig, seed: int, indices: Sequence[int], device: torch.device | str = "cpu"
) -> list[GeneratedClip]:
    """One clip per index, bit-identical however they are batched. About 16 at a time is fastest.

    Raises DataError where no scene meets the configuration's ranges.
    """
    indices = [int(i) for i in indices]
    rays = config.frames * config.height * config.width
    together = max(1, _RENDER_RAYS // rays)
    clips: list[GeneratedClip] = []
    for start in range(0, len(indices), _SELECT_TOGETHER):
        chosen = indices[start : start + _SELECT_TOGETHER]
        scenes = select_scenes(config, seed, chosen)
        for first in range(0, len(chosen), together):
            part = slice(first, first + together)
            clips.extend(_render(config, seed, chosen[part], scenes[part], device))
    return clips


def _render(
    config: WorldConfig,
    seed: int,
    indices: list[int],
    scenes: list[Scene],
    device: torch.device | str,
) -> list[GeneratedClip]:
    height, width, frames = config.height, config.width, config.frames
    packed = pack(scenes, height, width, device)
    gain = torch.stack([gains(config, seed, i) for i in indices]).to(device)  # [S, N, 3]
    encoded, distance, slot, z = render(config, packed, gain.view(-1, 3))
    images = encoded.view(3, len(scenes), frames, height, width).permute(1, 2, 0, 3, 4)
    shape = (len(scenes), frames, height, width)
    depth, slots = (distance * z).view(shape), slot.view(shape)
    clips = []
    for s, (index, scene) in enumerate(zip(indices, scenes)):
        own = pack([scene], height, width, device)
        own_slot = _renumber(packed, own, s, slots[s])
        clips.append(
            GeneratedClip(
                images=add_noise(images[s].contiguous(), config, seed, index),
                depth=depth[s].clone(),
                intrinsics=own.intrinsics.expand(frames, 3, 3).clone(),
                world_from_camera=own.world_from_camera[0],
                objects=own.identity[0][own_slot],
                moving=own.moving[0][own_slot],
                scene=scene,
                packed=own,
                slot=own_slot,
            )
        )
    return clips


def _renumber(packed: PackedScenes, own: PackedScenes, s: int, slot: Tensor) -> Tensor:
    """Slots of a batch expressed in the slots of the scene alone."""
    starts = {kind: start for kind, start, _ in own.blocks}
    table = torch.full((packed.slots + 1,), own.slots, dtype=torch.int64)
    for kind, start, end in packed.blocks:
        if kind in starts:
            table[start:end] = torch.arange(end - start) + starts[kind]
    return table.to(slot.device)[slot]
