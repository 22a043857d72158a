"""The training loop: stage after stage, resumable after any step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flow3r.errors import NonFiniteLossError
from flow3r.training.batches import Loader, split
from flow3r.training.checkpoint import TrainingState, restore_rng
from flow3r.training.config import StageConfig, TrainingConfig
from flow3r.training.distributed import ALONE, Group
from flow3r.training.parallel import Objective, share_model
from flow3r.training.schedule import build_optimiser, learning_rate, set_learning_rate


@dataclass(frozen=True)
class Hooks:
    """What the surroundings of a run want to know and to decide."""

    log: Callable[[int, str, dict[str, float]], None]  # (steps done, stage, metrics)
    after_step: Callable[[int, str], None]  # (steps done, stage): heartbeat
    validate: Callable[[int, str], None]  # (steps done, stage)
    save: Callable[[TrainingState], None]
    save_due: Callable[[], bool]
    should_stop: Callable[[], bool]
    log_every: int
    validate_every: int


class Trainer:
    """Trains one objective. `fit` may be called again with the state it last saved.

    In a group every process has a trainer, which does the same steps on its share of the batches;
    `log` and `save` then get what belongs to the whole batch and the whole model in the first
    process.
    """

    def __init__(
        self,
        objective: Objective,
        loader: Loader,
        config: TrainingConfig,
        hooks: Hooks,
        group: Group = ALONE,
    ):
        self.loader, self.config, self.hooks, self.group = loader, config, hooks, group
        self.model = share_model(objective, group)

    def fit(self, state: TrainingState | None) -> bool:
        """Train from `state` (or from the start); True when complete, False when stopped.

        Raises NonFiniteLossError as soon as a non-finite loss is noticed, before it can reach a
        checkpoint.
        """
        step = 0
        if state is not None:
            self.model.load(state.model)
            restore_rng(state)
            step = state.step
        pending = None if state is None else state.optimiser
        while step < self.config.total_steps:
            stage, start = self.config.locate(step)
            step, complete = self._run_stage(stage, start, step, pending)
            pending = None
            if not complete:
                return False
        self.hooks.save(self.model.state(step, None))
        return True

    def _run_stage(
        self, stage: StageConfig, start: int, step: int, optimiser_state: dict | None
    ) -> tuple[int, bool]:
        end = start + stage.steps
        if not self.model.prepare(stage):
            return end, True  # e.g. the flow-head stage of a formulation without a head
        optimiser = build_optimiser(self.model.module, self.config.optimiser)
        if optimiser_state is not None:
            self.model.load_optimiser(optimiser, optimiser_state)
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
            if step % self.hooks.validate_every == 0:
                self._check_finite(finite, step, stage)
                self.hooks.validate(step, stage.name)
            stopping, due = self.group.any(self.hooks.should_stop(), self.hooks.save_due())
            if stopping or due:
                self._check_finite(finite, step, stage)
                self.hooks.save(self.model.state(step, optimiser if step < end else None))
            if stopping:
                return step, False
        self._check_finite(finite, step, stage)
        return step, True

    def _optimise(
        self, optimiser: torch.optim.Optimizer, stage: StageConfig, step: int
    ) -> dict[str, Tensor]:
        batch = self.loader.step(step)
        optimiser.zero_grad(set_to_none=True)
        parts = split(batch, self.loader.plan.config.accumulate)
        collected: dict[str, Tensor] = {}
        for number, part in enumerate(parts, 1):
            last = number == len(parts)
            terms = self.model.backward(stage, part, step, len(parts), last)
            for name, value in terms.items():
                collected[name] = collected.get(name, 0) + value.detach() / len(parts)
        trainable = [p for group in optimiser.param_groups for p in group["params"]]
        norm = self.model.clip(trainable, self.config.optimiser.clip_norm)
        optimiser.step()
        return {**collected, "gradient_norm": norm}

    def _log(
        self, terms: dict[str, Tensor], lr: float, finite: Tensor, step: int, stage: StageConfig
    ) -> None:
        norm = terms.pop("gradient_norm")  # already that of the whole batch
        whole = self.group.total(torch.stack(list(terms.values())))
        values = dict(zip([*terms, "gradient_norm"], [*whole.tolist(), float(norm)]))
        metrics = {f"train/{name}": value for name, value in values.items()}
        self.hooks.log(step, stage.name, {**metrics, "train/lr": lr})
        self._check_finite(finite, step, stage)

    def _check_finite(self, finite: Tensor, step: int, stage: StageConfig) -> None:
        if bool(self.group.total((~finite).float())):
            raise NonFiniteLossError(
                f"the loss became non-finite in stage {stage.name!r}, at or shortly before step "
                f"{step}; the last checkpoint is intact (lower training lr or flow_weight?)"
            )
