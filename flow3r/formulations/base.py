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
        pairs: Tensor,  # int64, ordered (source, target): [P, 2] for all clips or [B, P, 2]
        intrinsics: Tensor | None,  # [B, N, 3, 3] when they are known and to be used, else None
    ) -> Flow | None:
        """Predict the flow of every pair, or None when the formulation predicts none."""


def frames_of(values: Tensor, index: Tensor) -> Tensor:
    """Pick frames of every clip: values [B, N, ...], index [P] (the same for all) or [B, P] ->
    [B, P, ...].
    """
    if index.ndim == 1:
        return values[:, index]
    clip = torch.arange(index.shape[0], device=index.device)[:, None]
    return values[clip, index]


def check_pairs(pairs: Tensor, clips: int, frames: int) -> None:
    """Raise ValueError unless `pairs` is int64 [P, 2] or [clips, P, 2], with frame indices below
    `frames`.
    """
    shaped = pairs.ndim in (2, 3) and pairs.shape[-1] == 2
    if not shaped or pairs.dtype != torch.int64:
        raise ValueError(
            "pairs must be int64 of shape [P, 2] or [B, P, 2], got "
            f"{pairs.dtype} {tuple(pairs.shape)}"
        )
    if pairs.ndim == 3 and pairs.shape[0] != clips:
        raise ValueError(f"pairs are given for {pairs.shape[0]} clips, there are {clips}")
    if pairs.numel() and (int(pairs.min()) < 0 or int(pairs.max()) >= frames):
        raise ValueError(f"pairs {pairs.tolist()} name a frame outside 0..{frames - 1}")
