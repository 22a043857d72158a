"""The shared initialisation of small models: matching first, then geometry.

Trained from scratch, a small transformer sits on a plateau at chance until its encoder can match
patches across frames. So a short contrastive stage with exact correspondences comes first (it
stands in for DINOv2), then supervised training on source clips (it stands in for released
pi3/VGGT weights), with the flow heads of the study's formulations as an auxiliary loss in turn,
each as often as the other, so that none starts better prepared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flow3r.config import require
from flow3r.data.clip import LabelledClips
from flow3r.data.mixing import BatchConfig
from flow3r.formulations.assembled import Flow3r
from flow3r.formulations.base import Formulation, frames_of
from flow3r.formulations.registry import FormulationConfig
from flow3r.losses.flow import flow_loss
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.model.reconstruction import ReconstructionModel
from flow3r.training.batches import StepBatch
from flow3r.training.config import StageConfig, TrainingConfig
from flow3r.training.precision import mixed_precision


@dataclass(frozen=True)
class PretrainConfig:
    """The pretrain stage: same model as the runs, source clips only."""

    training: TrainingConfig
    batch: BatchConfig
    formulations: tuple[FormulationConfig, ...]
    seed: int = 1000
    loss: LossConfig = field(default_factory=LossConfig)
    threads: int = 1
    """Torch threads on a CPU. Part of the settings because their number may change last bits."""
    temperature: float = 0.07  # of the contrastive stage (the usual InfoNCE value)
    projection: int = 32  # width of the contrastive embedding

    def __post_init__(self) -> None:
        require(self.threads >= 1, f"threads={self.threads} must be at least 1")
        require(self.temperature > 0, f"temperature={self.temperature} must be positive")


class PretrainModel(nn.Module):
    """Backbone, geometry heads, the flow heads and the matching projection."""

    def __init__(self, model: ReconstructionModel, heads: dict[str, Formulation], projection: int):
        super().__init__()
        self.model = model
        self.heads = nn.ModuleDict(heads)
        self.match = nn.Linear(model.config.encoder.width, projection)


class PretrainObjective:
    """Stage `encoder`: contrastive matching; stage `everything`: 3D losses and flow in turn."""

    def __init__(self, module: PretrainModel, config: PretrainConfig):
        self.module, self.config = module, config
        self._assembled = [Flow3r(module.model, head) for head in module.heads.values()]

    def prepare(self, stage: StageConfig) -> None:
        """Train the encoder and its projection alone in the matching stage, all of it after."""
        self.module.train()
        self.module.requires_grad_(stage.trains != "encoder")
        self.module.model.backbone.encoder.requires_grad_(stage.trains != "all-but-encoder")
        self.module.match.requires_grad_(stage.trains == "encoder")

    def losses(self, stage: StageConfig, batch: StepBatch, step: int) -> dict[str, Tensor]:
        """The stage's terms; `loss` is what is minimised."""
        if stage.trains == "encoder":
            return self._matching_losses(batch.labelled)
        return self._geometry_losses(batch.labelled, step)

    def _matching_losses(self, clips: LabelledClips) -> dict[str, Tensor]:
        tokens = self.module.model.encode(clips.images)  # [B, N, L, D]
        features = F.normalize(self.module.match(tokens), dim=-1)
        loss, accuracy = matching_loss(
            features, clips, self.module.model.config.patch_size, self.config.temperature
        )
        return {"loss": loss, "match_accuracy": accuracy}

    def _geometry_losses(self, clips: LabelledClips, step: int) -> dict[str, Tensor]:
        assembled = self._assembled[step % len(self._assembled)]
        with mixed_precision(clips.images.device, self.config.training.precision):
            prediction = assembled(
                clips.images, pairs=clips.flow.pairs, intrinsics=clips.intrinsics
            )
        terms = supervised_loss(prediction.geometry, clips, self.config.loss)
        flow = flow_loss(prediction.flow, clips.flow, self.config.loss)
        loss = terms.pop("total") + self.config.loss.flow_weight * flow
        return {"loss": loss, "flow": flow, **terms}


def matching_loss(
    features: Tensor,  # [B, N, L, E] unit vectors, row-major patches
    clips: LabelledClips,
    patch: int,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    """InfoNCE over the patches of the target frame, with exact correspondences.

    The right patch of a source patch is the one that its centre pixel moves to; source patches
    whose centre is not covisible do not count. Returns (loss, accuracy), both scalars.
    """
    source, target = (frames_of(features, index) for index in clips.flow.pairs.unbind(-1))
    logits = source @ target.transpose(-1, -2) / temperature  # [B, P, L, L]
    centre = slice(patch // 2, None, patch)
    position = clips.flow.target_px[:, :, centre, centre].flatten(2, 3)  # [B, P, L, 2]
    weight = (clips.flow.covisibility[:, :, centre, centre].flatten(2, 3) > 0.5).float()
    height, width = clips.images.shape[-2:]
    column = ((position[..., 0] + 0.5) / patch).floor().clamp(0, width // patch - 1)
    row = ((position[..., 1] + 0.5) / patch).floor().clamp(0, height // patch - 1)
    label = (row * (width // patch) + column).long()
    loss = F.cross_entropy(logits.flatten(0, 2), label.flatten(), reduction="none")
    hit = (logits.argmax(-1) == label).float()
    count = weight.sum().clamp(min=1)
    return (loss * weight.flatten()).sum() / count, torch.sum(hit * weight) / count
