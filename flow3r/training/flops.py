"""Floating-point operations of a training, counted on a small batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from flow3r.data.mixing import BatchConfig
from flow3r.training.batches import StepBatch
from flow3r.training.config import StageConfig, TrainingConfig
from flow3r.training.parallel import Objective


def count_flops(run: Callable[[], Any]) -> int:
    """Operations of one call: matrix products, convolutions, attention; a product-sum is two."""
    aten = torch.ops.aten
    attention = {  # torch knows the accelerators' kernels only
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        run()
    return counter.get_total_flops()


def training_flops(
    objective: Objective, batch: StepBatch, step: BatchConfig, config: TrainingConfig
) -> int:
    """Operations of all steps of a run, forward and backward, on all its processes together.

    Counted on a small batch and scaled to the clips of a `step`, since all that is counted is
    proportional to the clips; `batch` holds unlabelled clips if the steps do. Call it before blocks
    are compiled or checkpointed: what is computed twice to save memory then counts once. The
    optimiser is left out, which works number by number. Leaves no gradients and draws no random
    numbers; which parameters are frozen is as after the last stage.
    """
    labelled = step.replay + step.labelled
    if batch.unlabelled is None:
        labelled += step.flexible
    total = 0
    for stage in config.stages:
        objective.prepare(stage)
        if any(p.requires_grad for p in objective.module.parameters()):
            flops = _pass_flops(objective, stage, batch)
            if stage.trains == "flow-head":
                total += stage.steps * flops * labelled // len(batch.labelled.images)
            else:
                total += stage.steps * flops * step.clips // batch.clips
    return total


def _pass_flops(objective: Objective, stage: StageConfig, batch: StepBatch) -> int:
    device = batch.images.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        flops = count_flops(lambda: objective.losses(stage, batch, 0)["loss"].backward())
    objective.module.zero_grad(set_to_none=True)
    return flops


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(grad, query, key, value)
