"""The contract that makes the formulations interchangeable."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from flow3r.model.outputs import Flow, Geometry, Latents


class Formulation(nn.Module, ABC):
    """One way of predicting dense 2D flow from the backbone's latents or geometry.

    A formulation owns the parameters of its own head and nothing else. It may read whatever
    `latents`, `geometry` and `intrinsics` offer; what it reads decides where its gradients go.
    """

    name: str
    supervises_unlabelled: bool
    """False: trained on labelled clips only, no flow loss."""

    @abstractmethod
    def forward(
        self,
        latents: Latents,
        geometry: Geometry,
        pairs: Tensor,  # [P, 2] int64, ordered (source, target), the same for every clip
        intrinsics: Tensor | None,  # [B, N, 3, 3] when they are known and to be used, else None
    ) -> Flow | None:
        """Predict the flow of every pair, or None when the formulation predicts none."""


def check_pairs(pairs: Tensor, frames: int) -> None:
    """Raise ValueError unless `pairs` is int64 [P, 2] with frame indices below `frames`."""
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype != torch.int64:
        raise ValueError(
            f"pairs must be int64 of shape [P, 2], got {pairs.dtype} {tuple(pairs.shape)}"
        )
    if pairs.numel() and (int(pairs.min()) < 0 or int(pairs.max()) >= frames):
        raise ValueError(f"pairs {pairs.tolist()} name a frame outside 0..{frames - 1}")
