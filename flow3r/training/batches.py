"""From the batch plan to tensors: loading, augmenting, joining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from flow3r.data.clip import (
    ClipsT,
    LabelledClips,
    UnlabelledClips,
    check_same_pairs,
    clips_at,
    concatenate,
    pinned,
    to_device,
)
from flow3r.data.mixing import BatchPlan, Part
from flow3r.data.pairs import choose_pairs
from flow3r.data.pool import Pool
from flow3r.errors import DataError
from flow3r.streams import numpy_generator
from flow3r.training.augmentation import augment
from flow3r.training.config import AugmentationConfig
from flow3r.training.resolution import at_size

UNREADABLE = (DataError, OSError, ValueError)
"""What reading a clip raises where the data are to blame."""


@dataclass(frozen=True)
class StepBatch:
    """All clips of one optimiser step."""

    labelled: LabelledClips
    unlabelled: UnlabelledClips | None

    @property
    def images(self) -> Tensor:  # [B, N, 3, H, W]
        """Labelled clips first, then unlabelled ones."""
        if self.unlabelled is None:
            return self.labelled.images
        return torch.cat([self.labelled.images, self.unlabelled.images])

    @property
    def clips(self) -> int:
        """Clips in the batch."""
        return len(self.images)

    def pin_memory(self) -> StepBatch:
        """In pinned memory; the name is the one that a `DataLoader` asks for."""
        return pinned(self)


class Loader(Protocol):
    """Where a trainer gets its batches from."""

    plan: BatchPlan
    device: torch.device | str

    def step(self, step: int) -> StepBatch:
        """The batch of optimiser step `step` on the device."""


class BatchLoader:
    """Loads the batch of any step; stateless between steps."""

    def __init__(
        self,
        plan: BatchPlan,
        pools: dict[str, Pool],
        augmentation: AugmentationConfig,
        device: torch.device | str,
        calibrated: bool = False,
    ):
        """`pools`: by name. `calibrated`: unlabelled clips bring their intrinsics.

        Raises ConfigError where a pool has too few pairs for `batch.pairs`.
        """
        self.plan, self.pools, self.augmentation = plan, pools, augmentation
        self.device = device
        self._read_unlabelled = Pool.calibrated if calibrated else Pool.unlabelled
        pairs = plan.config.pairs
        self._weights = {n: pairs.weights(pool.pairs) for n, pool in pools.items() if len(pool)}

    def step(self, step: int) -> StepBatch:
        """The batch of optimiser step `step` on the device."""
        return to_device(self.on_host(step), self.device)

    def on_host(self, step: int) -> StepBatch:
        """The same in the host's memory. DataError names a clip that cannot be read."""
        parts = self.plan.step(step)
        labelled = [self._load(Pool.labelled, p, step) for p in parts if p.pool != "unlabelled"]
        unlabelled = [
            self._load(self._read_unlabelled, p, step) for p in parts if p.pool == "unlabelled"
        ]
        batch = StepBatch(concatenate(labelled), unlabelled[0] if unlabelled else None)
        if batch.unlabelled is not None:
            check_same_pairs(batch.labelled.flow, batch.unlabelled.flow)
        return self._at_its_size(batch, step)

    def _at_its_size(self, batch: StepBatch, step: int) -> StepBatch:
        sizes = self.augmentation.sizes
        if sizes is None:
            return batch
        size = sizes.of_step(self.plan.seed, step)
        unlabelled = None if batch.unlabelled is None else at_size(batch.unlabelled, size)
        return StepBatch(at_size(batch.labelled, size), unlabelled)

    def _load(self, read: Callable[..., ClipsT], part: Part, step: int) -> ClipsT:
        pool = self.pools[part.pool]
        try:
            clips = read(pool, part.positions, self._choose(part, step))
        except UNREADABLE as error:
            raise DataError(self._blame(read, part, error)) from error
        augmented = augment(
            clips.images, self.augmentation, self.plan.seed, part.name, step, part.places, part.size
        )
        return replace(clips, images=augmented)

    def _choose(self, part: Part, step: int) -> np.ndarray | None:  # [B, P]
        """The pairs of each clip, by a draw of its own: it depends on its place in the batch."""
        config, weights = self.plan.config.pairs, self._weights[part.pool]
        if config.per_clip is None:
            return None
        generator = numpy_generator(self.plan.seed, f"pairs/{part.name}", step)
        gumbel = generator.gumbel(size=(part.size, len(weights)))[part.places]
        pool, covisibility = self.pools[part.pool], None
        if config.min_covisibility:
            covisibility = pool.pair_covisibility(part.positions)
        return choose_pairs(config, weights, gumbel, covisibility)

    def _blame(self, read: Callable[..., ClipsT], part: Part, error: Exception) -> str:
        """Which clip cannot be read, found by reading them one by one."""
        pool = self.pools[part.pool]
        for position in part.positions:
            try:
                read(pool, np.array([position]))
            except UNREADABLE as own:
                return f"{pool.clip_name(int(position))} cannot be read: {own}"
        return f"the {part.name} clips of a step cannot be read: {error}"


def split(batch: StepBatch, parts: int) -> list[StepBatch]:
    """Split a batch for gradient accumulation, labelled and unlabelled clips alike.

    Raises ValueError unless both divide evenly, since unequal parts would change the mean.
    """
    if parts == 1:
        return [batch]
    counts = [len(batch.labelled.images)]
    if batch.unlabelled is not None:
        counts.append(len(batch.unlabelled.images))
    if any(count % parts for count in counts):
        raise ValueError(f"{counts} labelled and unlabelled clips cannot be split into {parts}")
    return [_take(batch, i, parts) for i in range(parts)]


def _take(batch: StepBatch, part: int, parts: int) -> StepBatch:
    unlabelled = None if batch.unlabelled is None else _slice(batch.unlabelled, part, parts)
    return StepBatch(_slice(batch.labelled, part, parts), unlabelled)


def _slice(clips: ClipsT, part: int, parts: int) -> ClipsT:
    size = len(clips.images) // parts
    return clips_at(clips, slice(part * size, (part + 1) * size))
