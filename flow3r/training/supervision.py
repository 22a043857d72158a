"""The losses of one batch: 3D losses on labelled clips, flow loss on every clip."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from flow3r.data.clip import PairFlow
from flow3r.formulations.assembled import Flow3r
from flow3r.losses.flow import flow_loss
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.model.outputs import Geometry
from flow3r.training.batches import StepBatch


def joint_losses(model: Flow3r, batch: StepBatch, config: LossConfig) -> dict[str, Tensor]:
    """Every term of the objective (scalars); `loss` is what is minimised.

    The flow loss averages over all clips of the batch, labelled or not: where the arm has no
    unlabelled clips it is an auxiliary loss on the labelled ones (`flow-labelled`).
    """
    flow_target = _all_flow(batch)
    prediction = model(batch.images, pairs=flow_target.pairs, intrinsics=_intrinsics(batch))
    labelled = _first_clips(prediction.geometry, len(batch.labelled.images))
    terms = supervised_loss(labelled, batch.labelled, config)
    loss = terms.pop("total")
    if prediction.flow is not None:
        terms["flow"] = flow_loss(prediction.flow, flow_target, config)
        loss = loss + config.flow_weight * terms["flow"]
    return {"loss": loss, **terms}


def flow_head_losses(model: Flow3r, batch: StepBatch, config: LossConfig) -> dict[str, Tensor]:
    """The flow loss on labelled clips alone (paper: stage 1, the backbone is frozen)."""
    clips = batch.labelled
    prediction = model(clips.images, pairs=clips.flow.pairs, intrinsics=clips.intrinsics)
    flow = flow_loss(prediction.flow, clips.flow, config)
    return {"loss": config.flow_weight * flow, "flow": flow}


def _all_flow(batch: StepBatch) -> PairFlow:
    first = batch.labelled.flow
    if batch.unlabelled is None:
        return first
    second = batch.unlabelled.flow
    return replace(
        first,
        target_px=torch.cat([first.target_px, second.target_px]),
        covisibility=torch.cat([first.covisibility, second.covisibility]),
    )


def _intrinsics(batch: StepBatch) -> Tensor | None:
    """[B, N, 3, 3] where every clip of the batch has them, else None."""
    if batch.unlabelled is None:
        return batch.labelled.intrinsics
    if batch.unlabelled.intrinsics is None:
        return None
    return torch.cat([batch.labelled.intrinsics, batch.unlabelled.intrinsics])


def _first_clips(geometry: Geometry, count: int) -> Geometry:
    return Geometry(
        geometry.local_points[:count],
        None if geometry.confidence is None else geometry.confidence[:count],
        geometry.world_from_camera[:count],
    )
