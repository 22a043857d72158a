"""Drawing scenes until one meets the configuration: covisibility, moving share, free view."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from flow3r.data.world.cameras import draw_path
from flow3r.data.world.config import WorldConfig
from flow3r.data.world.domains import DOMAINS, Domain
from flow3r.data.world.layout import add_lamps, draw_room
from flow3r.data.world.materials import refined
from flow3r.data.world.motion import draw_movers
from flow3r.data.world.pack import PackedScenes, pack
from flow3r.data.world.raycast import cast_first
from flow3r.data.world.scene import Room, Scene
from flow3r.data.world.truth import camera_rays, ordered_pairs, pair_truth
from flow3r.errors import DataError
from flow3r.streams import numpy_generator

_GRID = 12
_CANDIDATES = 3  # paths judged per scene and round; a room is redrawn every round
_ROUNDS = 60
_PATH_TRIES = 40


@dataclass(frozen=True)
class Verdict:
    """What the coarse grid says about each scene, [S]."""

    covisibility: Tensor
    """Least over the pairs that count."""
    moving: Tensor
    nearness: Tensor
    """Share of rays that end within 0.45 m, in the worst frame."""


def coarse_pixels(config: WorldConfig) -> Tensor:
    """Pixel coordinates [2, GRID^2] of the grid's cell centres."""
    steps = (torch.arange(_GRID) + 0.5) / _GRID
    y, x = torch.meshgrid(steps * config.height - 0.5, steps * config.width - 0.5, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)])


def judge(packed: PackedScenes, config: WorldConfig) -> Verdict:
    """Cast the coarse grid and measure."""
    group, directions, _ = camera_rays(packed, coarse_pixels(config).to(packed.centre.device))
    distance, slot = cast_first(packed, group, directions)
    scenes, frames = packed.scenes, packed.frames
    point = group.origin.t()[:, :, None] + directions * distance
    moving = packed.moving[group.scene[:, None], slot].float().view(scenes, -1).mean(1)
    near = (distance < 0.45).float().mean(1).view(scenes, frames).amax(1)
    covisibility = torch.ones(scenes, device=distance.device)
    pairs = ordered_pairs(frames, config.covisible_span)
    if pairs:
        index = torch.tensor(pairs, device=distance.device)
        scene = torch.arange(scenes, device=distance.device).repeat_interleave(len(pairs))
        repeated = index.repeat(scenes, 1)
        source = scene * frames + repeated[:, 0]
        _, seen = pair_truth(
            packed,
            scene,
            repeated,
            point[:, source],
            slot[source],
            (config.height, config.width),
        )
        covisibility = seen.mean(1).view(scenes, -1).amin(1)
    return Verdict(covisibility, moving, near)


def _few_palettes(rng: np.random.Generator, domain: Domain) -> Domain:
    """The domain with three of its palettes: a room's things go together."""
    chosen = rng.choice(len(domain.palettes), size=3, replace=False)
    return replace(domain, palettes=tuple(domain.palettes[i] for i in chosen))


def _draw(rng: np.random.Generator, config: WorldConfig) -> list[Scene]:
    """Candidates that share one room."""
    domain = _few_palettes(rng, DOMAINS[config.domain])
    pixels = max(config.height, config.width)
    resting = int(rng.integers(2, 4)) if not config.dynamic else 1
    room = draw_room(rng, domain, pixels, resting, 5)
    add_lamps(rng, room, *config.lights)
    boxes = room.part_boxes()
    found: list[Scene] = []
    for _ in range(_PATH_TRIES):
        field_of_view = float(np.radians(rng.uniform(*config.field_of_view)))
        path = draw_path(rng, room, boxes, field_of_view, config)
        if path is None:
            continue
        own = Room(room.half, room.bodies, list(room.materials), room.lamps, room.ambient)
        movers = []
        if config.dynamic:
            movers = draw_movers(rng, own, path, field_of_view, domain, config)
        if movers is not None:
            own.materials = refined(own.materials, pixels)
            found.append(Scene(own, movers, path, field_of_view))
        if len(found) == _CANDIDATES:
            break
    return found


def _accept(verdict: Verdict, config: WorldConfig) -> np.ndarray:
    good = verdict.covisibility >= config.min_covisibility
    good &= verdict.nearness < 0.1
    if config.dynamic:
        low, high = config.moving_share
        good &= (verdict.moving >= low) & (verdict.moving <= high)
    return good.cpu().numpy()


def select_scenes(config: WorldConfig, seed: int, indices: list[int]) -> list[Scene]:
    """One accepted scene per index; each depends on (config, seed, its index) only.

    Raises DataError where no scene meets the configuration's ranges.
    """
    streams = [numpy_generator(seed, f"world/{config.domain}/scene", i) for i in indices]
    accepted: dict[int, Scene] = {}
    for _ in range(_ROUNDS):
        owners, candidates = [], []
        for n, rng in enumerate(streams):
            if n not in accepted:
                drawn = _draw(rng, config)
                owners.extend([n] * len(drawn))
                candidates.extend(drawn)
        if candidates:
            # On the CPU always: a decision must not depend on the device.
            good = _accept(judge(pack(candidates, config.height, config.width), config), config)
            for n, scene, fine in zip(owners, candidates, good):
                if fine:
                    accepted.setdefault(n, scene)
        if len(accepted) == len(indices):
            return [accepted[n] for n in range(len(indices))]
    missing = [indices[n] for n in range(len(indices)) if n not in accepted]
    raise DataError(
        f"no scene of domain {config.domain!r} meets the settings for clips {missing[:5]} "
        f"(seed {seed}) after {_ROUNDS} rooms; widen moving_share={config.moving_share}, lower "
        f"min_covisibility={config.min_covisibility} or reduce baseline={config.baseline} and "
        f"yaw={config.yaw}"
    )
