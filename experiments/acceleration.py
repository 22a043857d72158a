"""What makes training cheaper without changing what is computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from flow3r.model.blocks import set_checkpointing
from flow3r.training.config import TrainingConfig


def accelerate(
    module: nn.Module, training: TrainingConfig, runtime: dict[str, Any], device: torch.device
) -> None:
    """Apply `runtime.activation_checkpointing` and `training.compile` to a module's blocks."""
    set_checkpointing(module, runtime.get("activation_checkpointing", False))
    if training.compile:
        from flow3r.training.compilation import compile_blocks  # slow to import

        compile_blocks(module, device)
