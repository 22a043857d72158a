"""VGGT's dense heads: a DPT head on normalised tokens, for depth and for world points."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flow3r.model.dpt import DptHead, DptSizes
from flow3r.model.heads import LOG_DEPTH_LIMIT
from flow3r.model.vggt.config import DenseHeadConfig


class DenseHead(DptHead):
    """The released `depth_head` or `point_head`, parameter for parameter.

    The last channel is the logit x of a confidence: released as 1 + exp(x), so that
    sigmoid(x) = 1 - 1 / confidence.
    """

    def __init__(self, config: DenseHeadConfig, width: int, outputs: int, norm_eps: float) -> None:
        super().__init__(
            DptSizes(
                width=width,
                features=config.features,
                out_channels=config.out_channels,
                ladder=config.ladder,
                hidden=config.hidden,
                outputs=outputs,
            )
        )
        self.norm = nn.LayerNorm(width, eps=norm_eps)

    def forward(
        self, levels: Sequence[Tensor], grid: tuple[int, int], image_size: tuple[int, int]
    ) -> Tensor:
        """Tokens [F, h*w, 2C] of every level -> [F, outputs, H, W], no activation."""
        return super().forward([self.norm(tokens) for tokens in levels], grid, image_size)


def decode_depth(raw: Tensor) -> Tensor:
    """log z -> z > 0, bounded as pi3's depth is."""
    return raw.clamp(max=LOG_DEPTH_LIMIT).exp()


def decode_world_points(raw: Tensor) -> Tensor:
    """Each coordinate y -> sign(y) * (exp(|y|) - 1): linear near the origin, bounded likewise."""
    return torch.sign(raw) * raw.abs().clamp(max=LOG_DEPTH_LIMIT).expm1()
