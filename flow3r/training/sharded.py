"""A model too large for one device: every process holds a part of it (FSDP2)."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from flow3r.model.blocks import Block
from flow3r.training.checkpoint import TrainingState
from flow3r.training.config import StageConfig
from flow3r.training.distributed import Group
from flow3r.training.parallel import Alone, Objective


class Parts(Alone):
    """Every process holds a part of each parameter, its gradient and its optimiser state (FSDP2).

    Transformer blocks are gathered one at a time, the rest with the root.
    """

    def __init__(self, objective: Objective, group: Group) -> None:
        super().__init__(objective)
        self.rank = group.rank
        # Nothing writes into a prediction, which is what FSDP warns about at every model.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        self._scalars = _as_vectors(objective.module)
        device = next(objective.module.parameters()).device
        mesh = dist.init_device_mesh(device.type, (group.size,))
        units = [m for m in objective.module.modules() if isinstance(m, Block)]
        for unit in (*units, objective.module):
            part = fully_shard(unit, mesh=mesh)
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)  # by itself FSDP takes the mean

    def prepare(self, stage: StageConfig) -> bool:
        for unit in self.module.modules():
            if isinstance(unit, FSDPModule):
                unit.reshard()  # after validation the root's parameters are still gathered
        return super().prepare(stage)

    def _adding(self, last: bool) -> contextlib.AbstractContextManager:
        self.module.set_requires_gradient_sync(last)
        return contextlib.nullcontext()

    def clip(self, parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
        return super().clip(parameters, limit).full_tensor()

    def state(self, step: int, optimiser: torch.optim.Optimizer | None) -> TrainingState:
        parts = super().state(step, optimiser)
        whole = None if optimiser is None else self._optimiser_state(optimiser, parts.optimiser)
        return replace(parts, model=self._weights(), optimiser=whole)

    def _weights(self) -> dict[str, Tensor]:
        weights = _gathered(self.module.state_dict(), self.rank == 0)
        return weights | {name: weights[name].squeeze() for name in self._scalars}

    def _optimiser_state(
        self, optimiser: torch.optim.Optimizer, parts: dict[str, Any]
    ) -> dict[str, Any]:
        names = {p: name for name, p in self.module.named_parameters()}
        whole = _gathered(parts, self.rank == 0)
        for index, parameter in enumerate(_parameters(optimiser)):
            if names[parameter] in self._scalars and index in whole["state"]:
                values = whole["state"][index]
                whole["state"][index] = {name: value.squeeze() for name, value in values.items()}
        return whole

    def load(self, weights: dict[str, Tensor]) -> None:
        own = self.module.state_dict()
        self.module.load_state_dict(
            {name: _part(value, own[name]) for name, value in weights.items()}
        )

    def load_optimiser(self, optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        parameters = _parameters(optimiser)
        parts = {
            index: {
                name: value if name == "step" else _part(value, parameters[index])
                for name, value in values.items()
            }
            for index, values in state["state"].items()
        }
        optimiser.load_state_dict({**state, "state": parts})

    def whole(self, build: Callable[[], nn.Module]) -> nn.Module:
        weights = self._weights()
        if self.rank:
            return self.module
        module = build()
        module.load_state_dict(weights)
        return module


def _as_vectors(module: nn.Module) -> list[str]:
    """Give scalar parameters, which FSDP cannot divide, one dimension; returns their names."""
    scalars = {name: p for name, p in module.named_parameters() if p.ndim == 0}
    for name, parameter in scalars.items():
        owner, _, attribute = name.rpartition(".")
        vector = nn.Parameter(parameter.detach().reshape(1), parameter.requires_grad)
        setattr(module.get_submodule(owner), attribute, vector)
    return list(scalars)


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    """In the order that an optimiser's state dict counts them."""
    return [p for group in optimiser.param_groups for p in group["params"]]


def _gathered(value: Any, keep: bool) -> Any:
    """Parts replaced by whole tensors on the CPU, one at a time; by nothing unless `keep`."""
    if isinstance(value, dict):
        return {name: _gathered(v, keep) for name, v in value.items()}
    if isinstance(value, DTensor):
        whole = value.full_tensor()
        return whole.cpu() if keep else torch.empty(0)
    return value


def _part(whole: Tensor, like: Tensor) -> Tensor:
    """This process' part of a whole tensor that every process has read."""
    if not isinstance(like, DTensor):
        return whole
    return distribute_tensor(
        whole.to(like.device).reshape(like.shape),
        like.device_mesh,
        like.placements,
        src_data_rank=None,
    )
