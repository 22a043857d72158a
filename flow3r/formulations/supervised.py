"""3d-sup: no flow at all; trained on labelled clips only."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from flow3r.formulations.base import Formulation
from flow3r.formulations.registry import register
from flow3r.model.outputs import Geometry, Latents
from flow3r.model.sizes import LatentSizes


@dataclass(frozen=True)
class SupervisedConfig:
    """3d-sup has no options."""


@register(SupervisedConfig)
class Supervised(Formulation):
    """Predicts no flow and has no parameters."""

    name = "3d-sup"
    supervises_unlabelled = False

    def __init__(self, options: SupervisedConfig, sizes: LatentSizes) -> None:
        super().__init__()

    def forward(
        self, latents: Latents, geometry: Geometry, pairs: Tensor, intrinsics: Tensor | None
    ) -> None:
        return None
