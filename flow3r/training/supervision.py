"""The losses of one batch: 3D losses on labelled clips, flow loss on every clip."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from flow3r.data.clip import PairFlow, UnlabelledClips, join_flow
from flow3r.formulations.assembled import Flow3r
from flow3r.losses.flow import flow_loss
from flow3r.losses.reduction import Total, alone
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.training.batches import StepBatch
from flow3r.training.config import StageConfig
from flow3r.training.precision import mixed_precision


class RunObjective:
    """The objective of one arm: head stage (flow head alone), then joint training."""

    def __init__(self, module: Flow3r, config: LossConfig, precision: str, total: Total = alone):
        """`total`: adds the counts of the processes that share a batch."""
        self.module, self.config, self.precision, self.total = module, config, precision, total

    def prepare(self, stage: StageConfig) -> None:
        """Freeze the backbone and the geometry heads while only the flow head trains."""
        self.module.train()
        self.module.model.requires_grad_(stage.trains in ("everything", "all-but-encoder"))
        self.module.model.backbone.encoder.requires_grad_(stage.trains == "everything")

    def losses(self, stage: StageConfig, batch: StepBatch, step: int) -> dict[str, Tensor]:
        """The stage's terms; `loss` is what is minimised."""
        if stage.trains == "flow-head":
            return self._flow_head_losses(batch)
        return self._joint_losses(batch)

    def _joint_losses(self, batch: StepBatch) -> dict[str, Tensor]:
        """3D losses on labelled clips; flow loss over all clips of the batch, labelled or not.

        Where the arm has no unlabelled clips, flow is an auxiliary loss on the labelled ones
        (`flow-labelled`).
        """
        target = _all_flow(batch)
        with mixed_precision(batch.labelled.images.device, self.precision):
            prediction = self.module(
                batch.images, pairs=target.pairs, intrinsics=_intrinsics(batch)
            )
        labelled = prediction.geometry.clips(slice(len(batch.labelled.images)))
        terms = supervised_loss(labelled, batch.labelled, self.config, self.total)
        loss = terms.pop("total")
        if prediction.flow is not None:
            terms["flow"] = flow_loss(prediction.flow, target, self.config, self.total)
            loss = loss + self.config.flow_weight * terms["flow"]
        return {"loss": loss, **terms}

    def _flow_head_losses(self, batch: StepBatch) -> dict[str, Tensor]:
        """The flow loss on labelled clips alone (paper: stage 1, the backbone is frozen).

        A process that has none takes unlabelled clips that weigh nothing: its gradients are zero,
        and there are as many as elsewhere.
        """
        clips = batch.labelled if len(batch.labelled.images) else _weightless(batch.unlabelled)
        with mixed_precision(clips.images.device, self.precision):
            prediction = self.module(
                clips.images, pairs=clips.flow.pairs, intrinsics=clips.intrinsics
            )
        flow = flow_loss(prediction.flow, clips.flow, self.config, self.total)
        return {"loss": self.config.flow_weight * flow, "flow": flow}


def _weightless(clips: UnlabelledClips) -> UnlabelledClips:
    nowhere = torch.zeros_like(clips.flow.covisibility)
    return replace(clips, flow=replace(clips.flow, covisibility=nowhere))


def _all_flow(batch: StepBatch) -> PairFlow:
    if batch.unlabelled is None:
        return batch.labelled.flow
    return join_flow([batch.labelled.flow, batch.unlabelled.flow])


def _intrinsics(batch: StepBatch) -> Tensor | None:
    """[B, N, 3, 3] where every clip of the batch has them, else None."""
    if batch.unlabelled is None:
        return batch.labelled.intrinsics
    if batch.unlabelled.intrinsics is None:
        return None
    return torch.cat([batch.labelled.intrinsics, batch.unlabelled.intrinsics])
