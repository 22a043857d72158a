"""The training loop: stage after stage, resumable after any step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flow3r.errors import NonFiniteLossError
from flow3r.formulations.assembled import Flow3r
from flow3r.losses.total import LossConfig
from flow3r.training.batches import BatchLoader, StepBatch, split
from flow3r.training.checkpoint import TrainingState, capture, restore_rng
from flow3r.training.config import StageConfig, TrainingConfig
from flow3r.training.schedule import build_optimiser, learning_rate, set_learning_rate
from flow3r.training.supervision import flow_head_losses, joint_losses


@dataclass(frozen=True)
class Hooks:
    """What the surroundings of a run want to know and to decide."""

    log: Callable[[int, str, dict[str, float]], None]  # (steps done, stage, metrics)
    after_step: Callable[[int, str], None]  # (steps done, stage): validation, heartbeat
    save: Callable[[TrainingState], None]
    save_due: Callable[[], bool]
    should_stop: Callable[[], bool]
    log_every: int


class Trainer:
    """Trains one model. `fit` may be called again with the state it last saved."""

    def __init__(
        self,
        model: Flow3r,
        loader: BatchLoader,
        config: TrainingConfig,
        losses: LossConfig,
        hooks: Hooks,
    ):
        self.model, self.loader, self.config = model, loader, config
        self.losses, self.hooks = losses, hooks

    def fit(self, state: TrainingState | None) -> bool:
        """Train from `state` (or from the start); True when complete, False when stopped.

        Raises NonFiniteLossError as soon as a non-finite loss is noticed, before it can reach a
        checkpoint.
        """
        step = 0
        if state is not None:
            self.model.load_state_dict(state.model)
            restore_rng(state)
            step = state.step
        pending = None if state is None else state.optimiser
        while step < self.config.total_steps:
            stage, start = self.config.locate(step)
            step, complete = self._run_stage(stage, start, step, pending)
            pending = None
            if not complete:
                return False
        self.hooks.save(capture(step, self.model, None))
        return True

    def _run_stage(
        self, stage: StageConfig, start: int, step: int, optimiser_state: dict | None
    ) -> tuple[int, bool]:
        end = start + stage.steps
        if not self._prepare(stage):
            return end, True
        optimiser = build_optimiser(self.model, self.config.optimiser)
        if optimiser_state is not None:
            optimiser.load_state_dict(optimiser_state)
        finite = torch.ones((), dtype=torch.bool, device=self.loader.device)
        while step < end:
            lr = learning_rate(step - start, stage, self.config.optimiser.final_lr_share)
            set_learning_rate(optimiser, lr)
            terms = self._optimise(optimiser, stage, step)
            finite &= terms["loss"].isfinite()
            step += 1
            if step % self.hooks.log_every == 0 or step == end:
                self._log(terms, lr, finite, step, stage)
            self.hooks.after_step(step, stage.name)
            stopping = self.hooks.should_stop()
            if stopping or self.hooks.save_due():
                self._check_finite(finite, step, stage)
                self.hooks.save(capture(step, self.model, optimiser if step < end else None))
            if stopping:
                return step, False
        self._check_finite(finite, step, stage)
        return step, True

    def _prepare(self, stage: StageConfig) -> bool:
        """Freeze or free the backbone; False if the stage has nothing to train."""
        everything = stage.trains == "everything"
        self.model.train()
        self.model.reconstruction.requires_grad_(everything)
        return any(p.requires_grad for p in self.model.parameters())

    def _optimise(
        self, optimiser: torch.optim.Optimizer, stage: StageConfig, step: int
    ) -> dict[str, Tensor]:
        batch = self.loader.step(step)
        optimiser.zero_grad(set_to_none=True)
        parts = split(batch, self.loader.plan.config.accumulate)
        collected: dict[str, Tensor] = {}
        for part in parts:
            terms = self._losses(stage, part)
            (terms["loss"] / len(parts)).backward()
            for name, value in terms.items():
                collected[name] = collected.get(name, 0) + value.detach() / len(parts)
        trainable = [p for group in optimiser.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(trainable, self.config.optimiser.clip_norm)
        optimiser.step()
        return {**collected, "gradient_norm": norm.detach()}

    def _losses(self, stage: StageConfig, batch: StepBatch) -> dict[str, Tensor]:
        with self._autocast():
            if stage.trains == "flow-head":
                return flow_head_losses(self.model, batch, self.losses)
            return joint_losses(self.model, batch, self.losses)

    def _autocast(self) -> contextlib.AbstractContextManager:
        return autocast(self.loader.device, self.config.precision)

    def _log(
        self, terms: dict[str, Tensor], lr: float, finite: Tensor, step: int, stage: StageConfig
    ) -> None:
        values = {f"train/{name}": float(value) for name, value in terms.items()}
        self.hooks.log(step, stage.name, {**values, "train/lr": lr})
        self._check_finite(finite, step, stage)

    def _check_finite(self, finite: Tensor, step: int, stage: StageConfig) -> None:
        if not bool(finite):
            raise NonFiniteLossError(
                f"the loss became non-finite in stage {stage.name!r}, at or shortly before step "
                f"{step}; the last checkpoint is intact (lower training lr or flow_weight?)"
            )


def autocast(device: torch.device | str, precision: str) -> contextlib.AbstractContextManager:
    """bf16 autocast on request; heads and losses leave it by themselves."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
