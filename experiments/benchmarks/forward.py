"""A forward pass of the assembled model: float32, bfloat16, compiled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks import problem
from experiments.benchmarks.flops import utilisation
from experiments.benchmarks.measure import Variant, measure, say
from experiments.benchmarks.settings import Settings
from flow3r.formulations.assembled import Flow3r
from flow3r.training.compilation import compile_blocks
from flow3r.training.flops import count_flops
from flow3r.training.precision import mixed_precision


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """Inference, geometry and flow of some pairs; the reference is float32, not compiled."""
    say("forward: building the model")
    model = problem.build(settings).eval()
    run = forward(model, settings, "float32")
    say("forward: counting operations")
    flops = count_flops(run)
    precisions = {"float32": "float32", "bfloat16": "bfloat16"}
    variants = [Variant(name, forward(model, settings, name)) for name in precisions]
    if settings.compile:
        compiled = copy.deepcopy(model)
        compile_blocks(compiled, settings.device)
        for precision in ("float32", "bfloat16"):
            name = f"{precision}-compiled"
            variants.append(Variant(name, forward(compiled, settings, precision)))
            precisions[name] = precision
    shape = {"parameters": sum(p.numel() for p in model.parameters())}
    for record in measure("forward", variants, settings, shape):
        precision = precisions[record["variant"]]
        if record["seconds"] is not None:
            record |= utilisation(flops, record["seconds"], settings, precision)
        yield {**record, "precision": precision, "compile": "compiled" in record["variant"]}


def forward(model: Flow3r, settings: Settings, precision: str) -> Callable[[], dict[str, Tensor]]:
    """A program that returns every output of one pass."""
    images, pairs = problem.images(settings), problem.pairs(settings)

    def run() -> dict[str, Tensor]:
        with torch.inference_mode(), mixed_precision(images.device, precision):
            prediction = model(images, pairs if len(pairs) else None)
        geometry = prediction.geometry
        outputs = {
            "local_points": geometry.local_points,
            "confidence": geometry.confidence,
            "world_from_camera": geometry.world_from_camera,
        }
        if prediction.flow is not None:
            outputs["target_px"] = prediction.flow.target_px
        return outputs

    return run
