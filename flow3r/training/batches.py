"""From the batch plan to tensors: loading, augmenting, joining."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flow3r.data.clip import LabelledClips, UnlabelledClips, concatenate, to_device
from flow3r.data.mixing import BatchPlan, Part
from flow3r.data.pool import Pool
from flow3r.training.augmentation import augment
from flow3r.training.config import AugmentationConfig


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
        """`pools`: by name. `calibrated`: unlabelled clips bring their intrinsics."""
        self.plan, self.pools, self.augmentation = plan, pools, augmentation
        self.device = device
        self._read_unlabelled = Pool.calibrated if calibrated else Pool.unlabelled

    def step(self, step: int) -> StepBatch:
        """The batch of optimiser step `step` on the device."""
        parts = self.plan.step(step)
        labelled = [self._labelled(p, step) for p in parts if p.pool != "unlabelled"]
        unlabelled = [self._unlabelled(p, step) for p in parts if p.pool == "unlabelled"]
        return StepBatch(
            to_device(concatenate(labelled), self.device),
            to_device(unlabelled[0], self.device) if unlabelled else None,
        )

    def _labelled(self, part: Part, step: int) -> LabelledClips:
        clips = self.pools[part.pool].labelled(part.positions)
        return replace(clips, images=self._augment(clips.images, part, step))

    def _unlabelled(self, part: Part, step: int) -> UnlabelledClips:
        clips = self._read_unlabelled(self.pools[part.pool], part.positions)
        return replace(clips, images=self._augment(clips.images, part, step))

    def _augment(self, images: Tensor, part: Part, step: int) -> Tensor:
        return augment(
            images, self.augmentation, self.plan.seed, part.name, step, part.places, part.size
        )


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


def _slice(clips, part: int, parts: int):
    size = len(clips.images) // parts
    here = slice(part * size, (part + 1) * size)
    flow = replace(
        clips.flow,
        target_px=clips.flow.target_px[here],
        covisibility=clips.flow.covisibility[here],
    )
    fields = {name: value[here] for name, value in vars(clips).items() if isinstance(value, Tensor)}
    return replace(clips, flow=flow, **fields)
