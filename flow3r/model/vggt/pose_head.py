"""VGGT's camera head: camera tokens to pose encodings by a few rounds of refinement.

A pose encoding has nine numbers: translation (3) and quaternion xyzw (4) of camera_from_world,
field of view (2: vertical, horizontal, in radians).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow3r.model.blocks import Block, Mlp
from flow3r.model.sizes import BlockConfig
from flow3r.model.vggt.config import PoseHeadConfig

POSE_NUMBERS = 9
MODULATION_NORM_EPS = 1e-6


class PoseHead(nn.Module):
    """Every round embeds the pose so far, modulates the camera tokens with it (adaptive LayerNorm:
    shift, scale, gate), lets the frames' tokens attend to each other, and adds a correction.
    """

    def __init__(self, config: PoseHeadConfig, width: int, norm_eps: float, attention: str) -> None:
        super().__init__()
        self.iterations = config.iterations
        block = BlockConfig(
            width=width,
            heads=config.heads,
            mlp_ratio=config.mlp_ratio,
            norm_eps=norm_eps,
            attention=attention,
            layer_scale=config.layer_scale,
        )
        self.trunk = nn.ModuleList(Block(block) for _ in range(config.depth))
        self.token_norm = nn.LayerNorm(width, eps=norm_eps)
        self.trunk_norm = nn.LayerNorm(width, eps=norm_eps)
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, POSE_NUMBERS))
        self.embed_pose = nn.Linear(POSE_NUMBERS, width)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))
        self.adaln_norm = nn.LayerNorm(width, eps=MODULATION_NORM_EPS, elementwise_affine=False)
        self.pose_branch = Mlp(width, width // 2, outputs=POSE_NUMBERS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Camera tokens [B, N, 2C] -> the last round's pose encoding [B, N, 9].

        A round reads the pose so far without a gradient, as released. The sum of the corrections
        keeps its gradient, so that a loss on the last pose trains every round; VGGT has a loss on
        each round instead.
        """
        tokens = self.token_norm(tokens)
        pose, seen = tokens.new_zeros(()), self.empty_pose_tokens
        for _ in range(self.iterations):
            pose = pose + self._correction(tokens, seen)
            seen = pose.detach()
        return torch.cat([pose[..., :7], functional.relu(pose[..., 7:])], dim=-1)

    def _correction(self, tokens: Tensor, pose: Tensor) -> Tensor:
        """[B, N, 9], before the activation of the field of view."""
        embedded = self.embed_pose(pose)
        shift, scale, gate = self.poseLN_modulation(embedded).chunk(3, dim=-1)
        x = tokens + gate * (self.adaln_norm(tokens) * (1 + scale) + shift)
        for block in self.trunk:
            x = block(x)
        return self.pose_branch(self.trunk_norm(x))
