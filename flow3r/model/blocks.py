"""The pre-norm transformer block shared by the encoder, the decoder and the task decoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from flow3r.model.attention import Attention, Bias
from flow3r.model.rope import Rotary
from flow3r.model.sizes import BlockConfig


class LayerScale(nn.Module):
    """A learned factor per channel on a residual branch."""

    def __init__(self, width: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, hidden: int, outputs: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, outputs or width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """x + ls1(attn(norm1(x))), then x + ls2(mlp(norm2(x))), on tokens [B, T, C]."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.attn = Attention(config)
        self.ls1 = _layer_scale(config)
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mlp = Mlp(config.width, round(config.width * config.mlp_ratio))
        self.ls2 = _layer_scale(config)

        self.checkpointing = False
        """Keep only the input for the backward pass, and compute the rest of it again there."""

    def forward(self, x: Tensor, rotary: Rotary | None = None, bias: Bias = None) -> Tensor:
        if self.checkpointing and self.training and torch.is_grad_enabled():
            # Nothing in a block is random, so no generator's state need be restored.
            return checkpoint(
                self._forward, x, rotary, bias, use_reentrant=False, preserve_rng_state=False
            )
        return self._forward(x, rotary, bias)

    def _forward(self, x: Tensor, rotary: Rotary | None, bias: Bias) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x), rotary, bias))
        return x + self.ls2(self.mlp(self.norm2(x)))


def set_checkpointing(module: nn.Module, on: bool) -> None:
    """Switch activation checkpointing on or off in every block of a module.

    It costs a second forward pass of the blocks and changes no value and no gradient.
    """
    for part in module.modules():
        if isinstance(part, Block):
            part.checkpointing = on


def _layer_scale(config: BlockConfig) -> nn.Module:
    if config.layer_scale is None:
        return nn.Identity()
    return LayerScale(config.width, config.layer_scale)
