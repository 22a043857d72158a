"""All losses of a batch, forward and backward: batched against a loop over clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks import problem
from experiments.benchmarks.measure import Variant, measure
from experiments.benchmarks.references import looped_losses
from experiments.benchmarks.settings import Settings
from flow3r.data.clip import LabelledClips
from flow3r.geometry.camera import unproject
from flow3r.losses.flow import flow_loss
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.model.outputs import Flow, Geometry


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """Every loss with pi3's constants; no model is involved."""
    clips, config = problem.clips(settings), LossConfig()
    leaves = _prediction(clips)

    def run(total: Callable[..., Tensor]) -> Callable[[], dict[str, Tensor]]:
        def forward_and_backward() -> dict[str, Tensor]:
            points, confidence, poses, target = leaves
            valid = torch.ones_like(target[..., 0], dtype=torch.bool)
            geometry = Geometry(points, confidence, poses)
            loss = total(geometry, Flow(target, valid), clips, config)
            gradients = torch.autograd.grad(loss, leaves)
            names = ("points", "confidence", "poses", "flow")
            return {"loss": loss.detach(), **dict(zip(names, gradients))}

        return forward_and_backward

    variants = [
        Variant("loop over clips", run(looped_losses)),
        Variant("batched", run(batched_losses)),
    ]
    yield from measure("losses", variants, settings, {"ordered_pairs": len(clips.flow.pairs)})


def batched_losses(
    geometry: Geometry, flow: Flow, clips: LabelledClips, config: LossConfig
) -> Tensor:
    """What training minimises."""
    total = supervised_loss(geometry, clips, config)["total"]
    return total + config.flow_weight * flow_loss(flow, clips.flow, config)


def _prediction(clips: LabelledClips) -> list[Tensor]:
    """Points, confidence, poses and flow near the labels, as leaves."""
    draw = problem.generator()
    points = unproject(clips.depth, clips.intrinsics)
    near = [points, clips.depth, clips.world_from_camera, clips.flow.target_px]
    return [
        (value + 0.05 * torch.randn(value.shape, generator=draw).to(value.device)).requires_grad_()
        for value in near
    ]
