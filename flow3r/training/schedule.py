"""The learning rate as a function of the step."""

from __future__ import annotations

import math

import torch
from torch import nn

from flow3r.training.config import OptimiserConfig, StageConfig


def learning_rate(step: int, stage: StageConfig, final_share: float) -> float:
    """Linear warm-up to the stage's rate, then a half cosine down to `final_share` of it.

    `step` counts from 0 within the stage.
    """
    if step < stage.warmup_steps:
        return stage.lr * (step + 1) / stage.warmup_steps
    span = max(stage.steps - stage.warmup_steps, 1)
    progress = min((step - stage.warmup_steps) / span, 1.0)
    return stage.lr * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress)))


def build_optimiser(module: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW over the parameters that require gradients; no weight decay on vectors and scalars.

    Fused on a GPU. On a CPU the fused kernel differs in the last bits and takes as long.
    """
    trainable = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = bool(trainable) and trainable[0].is_cuda
    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=fused)


def set_learning_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set one learning rate for every group."""
    for group in optimiser.param_groups:
        group["lr"] = lr
