"""An optimiser step of the assembled model, and what can be switched on for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks import problem
from experiments.benchmarks.measure import Variant, measure, say
from experiments.benchmarks.settings import PRECISIONS, Settings
from flow3r.data.clip import PairFlow, UnlabelledClips, clips_at
from flow3r.formulations.assembled import Flow3r
from flow3r.losses.total import LossConfig
from flow3r.model.blocks import set_checkpointing
from flow3r.training.batches import StepBatch
from flow3r.training.compilation import compile_blocks
from flow3r.training.config import OptimiserConfig, StageConfig
from flow3r.training.schedule import build_optimiser
from flow3r.training.supervision import RunObjective


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """The reference trains everything in the given precision and uses none of the options."""
    say("train_step: building the model")
    model, batch = problem.build(settings), step_batch(settings)
    precision = settings.precision
    other = next(p for p in PRECISIONS if p != precision)
    plain = TrainStep(model, batch, precision)
    variants = [
        Variant(precision, plain),
        Variant(other, TrainStep(model, batch, other, optimiser=plain.optimiser)),
        Variant("checkpointing", _checkpointed(plain)),
        Variant("encoder-frozen", TrainStep(model, batch, precision, trains="all-but-encoder")),
    ]
    if settings.device == "cpu":  # on a GPU the optimiser is fused anyway
        fused = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)
        variants.append(Variant("fused-adamw", TrainStep(model, batch, precision, optimiser=fused)))
    if settings.compile:
        compiled = copy.deepcopy(model)
        compile_blocks(compiled, settings.device)
        variants.append(Variant("compiled", TrainStep(compiled, batch, precision)))
    parameters = sum(p.numel() for p in model.parameters())
    yield from measure("train_step", variants, settings, {"parameters": parameters})


class TrainStep:
    """Forward, all losses, backward, clipping, AdamW at a rate of zero: every step is the same."""

    def __init__(
        self,
        model: Flow3r,
        batch: StepBatch,
        precision: str,
        trains: str = "everything",
        optimiser: torch.optim.Optimizer | None = None,
    ) -> None:
        self.batch = batch
        self.objective = RunObjective(model, LossConfig(), precision)
        self.stage = StageConfig("step", steps=1, lr=1.0, warmup_steps=0, trains=trains)
        self.objective.prepare(self.stage)
        self.optimiser = optimiser or build_optimiser(model, OptimiserConfig())
        self._allocate_state()

    def __call__(self) -> dict[str, Tensor]:
        """One step; the loss and the norm of its gradient."""
        self.objective.prepare(self.stage)  # the variants share the model
        loss = self.objective.losses(self.stage, self.batch, 0)["loss"]
        loss.backward()
        trained = [p for p in self.objective.module.parameters() if p.requires_grad]
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        self.optimiser.step()
        self.objective.module.zero_grad(set_to_none=True)
        return {"loss": loss.detach(), "gradient_norm": norm}

    def _allocate_state(self) -> None:
        """Moments exist from the second step on; a peak is to mean the same for every variant."""
        for parameter in (p for group in self.optimiser.param_groups for p in group["params"]):
            parameter.grad = torch.zeros_like(parameter)
        self.optimiser.step()
        self.objective.module.zero_grad(set_to_none=True)


def step_batch(settings: Settings) -> StepBatch:
    """Clips of which the second half are unlabelled."""
    clips = problem.clips(settings)
    first = (settings.batch + 1) // 2
    rest = slice(first, None)
    flow = PairFlow(clips.flow.pairs, clips.flow.target_px[rest], clips.flow.covisibility[rest])
    unlabelled = UnlabelledClips(clips.images[rest], flow) if settings.batch > 1 else None
    return StepBatch(clips_at(clips, slice(first)), unlabelled)


def _checkpointed(step: TrainStep) -> Callable[[], dict[str, Tensor]]:
    def run() -> dict[str, Tensor]:
        set_checkpointing(step.objective.module, True)
        try:
            return step()
        finally:
            set_checkpointing(step.objective.module, False)

    return run
