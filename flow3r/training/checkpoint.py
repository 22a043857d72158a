"""Checkpoints: everything a run needs to continue bit for bit, in one file, written atomically.

Loading never executes pickled code (`weights_only`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flow3r.errors import DataError
from flow3r.files import write_atomically


@dataclass(frozen=True)
class TrainingState:
    """The state after `step` optimiser steps."""

    step: int
    model: dict[str, Tensor]
    optimiser: dict[str, Any] | None  # None between stages: each stage starts a fresh optimiser
    rng: Tensor
    cuda_rng: tuple[Tensor, ...]


def capture(step: int, model: nn.Module, optimiser: torch.optim.Optimizer | None) -> TrainingState:
    """Collect the state of a run."""
    return TrainingState(
        step=step,
        model=model.state_dict(),
        optimiser=None if optimiser is None else optimiser.state_dict(),
        rng=torch.get_rng_state(),
        cuda_rng=tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else (),
    )


def save(state: TrainingState, path: Path) -> None:
    """Write the state; the previous file stays intact until the new one is complete."""
    write_atomically(path, partial(_write, vars(state)))


def load(path: Path) -> TrainingState:
    """Read a state onto the CPU; DataError if the file is damaged or holds something else."""
    expected = set(TrainingState.__dataclass_fields__)
    if not path.exists():
        raise DataError(f"no checkpoint at {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise DataError(f"{path} is not a readable checkpoint: {error}") from error
    if not isinstance(content, dict) or set(content) != expected:
        raise DataError(f"{path} does not hold a training state: {sorted(expected)}")
    return TrainingState(**content)


def restore_rng(state: TrainingState) -> None:
    """Set torch's global generators to where they were, as far as there are as many GPUs."""
    torch.set_rng_state(state.rng)
    if state.cuda_rng and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(list(state.cuda_rng)[: torch.cuda.device_count()])


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's state dict alone; `flow3r.weights.files.read_weights` reads it."""
    state = {k: v.detach().cpu() for k, v in module.state_dict().items()}
    write_atomically(path, partial(_write, state))


def _write(content: dict[str, Any], path: Path) -> None:
    """Raises OSError with the system's reason, such as a full disk."""
    with open(path, "wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # torch notices its own confusion ("unexpected pos 768 vs 662") after the failed write.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
