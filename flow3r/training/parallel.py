"""How the processes of a group share a model: alone, as copies (DDP), or in parts (`sharded`).

All three minimise the same sum: a process' losses are its part of the batch's (see
`losses.reduction`), so gradients are added over the processes, not averaged.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from flow3r.training.batches import StepBatch
from flow3r.training.checkpoint import TrainingState, capture
from flow3r.training.config import StageConfig
from flow3r.training.distributed import Group


class Objective(Protocol):
    """What is trained, and which losses each stage minimises."""

    module: nn.Module

    def prepare(self, stage: StageConfig) -> None:
        """Free the parameters that the stage trains and freeze the others."""

    def losses(self, stage: StageConfig, batch: StepBatch, step: int) -> dict[str, Tensor]:
        """Scalar terms; the one named `loss` is minimised."""


class Alone:
    """One process with the whole model; what the others build on."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.module = objective, objective.module

    def prepare(self, stage: StageConfig) -> bool:
        """Free and freeze parameters for a stage; False when it trains none."""
        self.objective.prepare(stage)
        return any(p.requires_grad for p in self.module.parameters())

    def backward(
        self, stage: StageConfig, batch: StepBatch, step: int, parts: int, last: bool
    ) -> dict[str, Tensor]:
        """Add the gradients of one of the `parts` parts of a step's batch.

        Returns the terms, as far as they come from this process' clips. `last`: the gradients of
        the step are complete, and may be added over the processes.
        """
        with self._adding(last):
            terms = self._losses(stage, batch, step)
            (terms["loss"] / parts).backward()
        return terms

    def _adding(self, last: bool) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()

    def _losses(self, stage: StageConfig, batch: StepBatch, step: int) -> dict[str, Tensor]:
        return self.objective.losses(stage, batch, step)

    def clip(self, parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
        """Scale the gradients down to a global norm of `limit`; the norm before, a scalar."""
        return nn.utils.clip_grad_norm_(parameters, limit).detach()

    def state(self, step: int, optimiser: torch.optim.Optimizer | None) -> TrainingState:
        """The whole state; every process must ask for it, and that of the first one counts."""
        return capture(step, self.module, optimiser)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Set the whole model's weights."""
        self.module.load_state_dict(weights)

    def load_optimiser(self, optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Set the whole optimiser state."""
        optimiser.load_state_dict(state)

    def whole(self, build: Callable[[], nn.Module]) -> nn.Module:
        """The trained model in one piece, in the first process; `build` makes another one."""
        return self.module


class Copies(Alone):
    """A copy of the model in every process; gradients are added while they are computed.

    A process without labelled clips computes the 3D losses of no clips, so the same parameters
    have gradients in every process, if of zero. Those that no loss reaches (a weight of 0) have
    none, as in one process, where AdamW skips them; DDP waits for them unless it is told to look
    for them in every step, so a first forward pass of the stage finds out whether there are any.
    """

    def prepare(self, stage: StageConfig) -> bool:
        self._step: DistributedDataParallel | None = None
        return super().prepare(stage)

    def backward(
        self, stage: StageConfig, batch: StepBatch, step: int, parts: int, last: bool
    ) -> dict[str, Tensor]:
        if self._step is None:
            reached = _leaves(self.objective.losses(stage, batch, step)["loss"])
            trained = {p for p in self.module.parameters() if p.requires_grad}
            self._step = self._connect(find_unused=not trained <= reached)
        return super().backward(stage, batch, step, parts, last)

    def _losses(self, stage: StageConfig, batch: StepBatch, step: int) -> dict[str, Tensor]:
        return self._step(stage, batch, step)

    def _adding(self, last: bool) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext() if last else self._step.no_sync()

    def _connect(self, find_unused: bool) -> DistributedDataParallel:
        # Gradients of 1x1 convolutions may have other strides than the parameter; they are copied.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        step = DistributedDataParallel(
            _Step(self.objective),
            find_unused_parameters=find_unused,
            gradient_as_bucket_view=True,
        )
        step.register_comm_hook(None, _add)
        return step


def _leaves(loss: Tensor) -> set[Tensor]:
    """The parameters that a loss depends on."""
    seen, found, waiting = set(), set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        waiting += [following for following, _ in node.next_functions]
    return found


class _Step(nn.Module):
    """The losses as a forward pass, which is what DDP wraps."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.module = objective.module
        self._losses = objective.losses

    def forward(self, stage: StageConfig, batch: StepBatch, step: int) -> dict[str, Tensor]:
        return self._losses(stage, batch, step)


def _add(state, bucket):  # DDP refuses annotations that are strings
    """Sum gradients over the processes (DDP by itself takes the mean)."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


def share_model(objective: Objective, group: Group) -> Alone:
    """How the group shares the objective's model."""
    if group.size == 1:
        return Alone(objective)
    if group.strategy == "ddp":
        return Copies(objective)
    from flow3r.training.sharded import Parts  # slow to import

    return Parts(objective, group)
