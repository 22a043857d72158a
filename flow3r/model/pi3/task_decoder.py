"""The per-frame transformer decoders behind points, confidence and camera (pi3)."""

from __future__ import annotations

from torch import Tensor, nn

from flow3r.model.blocks import Block
from flow3r.model.pi3.backbone import BackboneTokens
from flow3r.model.pi3.config import Pi3Config
from flow3r.model.rope import rotary
from flow3r.model.sizes import BlockConfig


class TaskDecoder(nn.Module):
    """Linear, a few per-frame blocks with RoPE, linear. No norm after the last block."""

    def __init__(self, config: Pi3Config, output_width: int) -> None:
        super().__init__()
        tasks = config.tasks
        self.levels = tasks.levels
        self.head_width = tasks.width // tasks.heads
        self.projects = nn.Linear(2 * config.decoder.width, tasks.width)
        block = BlockConfig(
            width=tasks.width,
            heads=tasks.heads,
            mlp_ratio=tasks.mlp_ratio,
            norm_eps=config.norm_eps,
            attention=config.attention,
        )
        self.blocks = nn.ModuleList(Block(block) for _ in range(tasks.depth))
        self.linear_out = nn.Linear(tasks.width, output_width)

    def forward(self, backbone: BackboneTokens) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns the patch features [B*N, L, output_width] and, for every level, the residual
        stream after that block, [B, N, L, C]; special tokens removed from both.
        """
        frames = backbone.tokens.shape[:2]
        table = rotary(backbone.positions, self.head_width)
        x = self.projects(backbone.tokens.flatten(0, 1))
        outputs = []
        for block in self.blocks:
            x = block(x, table)
            outputs.append(x[:, backbone.registers :])
        latents = tuple(outputs[level].unflatten(0, frames) for level in self.levels)
        return self.linear_out(outputs[-1]), latents
