"""The VGGT backbone: patch encoder, then alternating attention with tokens of its own.

Every frame gets a camera token and registers, in one version for the first frame and one for all
the others: the first frame is the reference of the world, the others are interchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flow3r.model.alternating import alternate
from flow3r.model.blocks import Block
from flow3r.model.encoder import PatchEncoder
from flow3r.model.images import IMAGENET_MEAN, IMAGENET_STD, channel_constant, check_images
from flow3r.model.rope import patch_positions, rotary
from flow3r.model.sizes import BlockConfig
from flow3r.model.vggt.config import VggtConfig

QK_NORM_EPS = 1e-5


@dataclass(frozen=True)
class AggregatedTokens:
    """The backbone's output: [per-frame | global] tokens of some pairs of blocks."""

    levels: tuple[Tensor, ...]  # each [B, N, S + h*w, 2C], the camera token first
    last: Tensor  # [B, N, S + h*w, 2C], of the last pair
    specials: int
    """S: the camera token and the registers."""
    grid: tuple[int, int]


class Aggregator(nn.Module):
    """Images to tokens. Parameter names are those of the released `aggregator`, but for `encoder`
    (released: `patch_embed`).
    """

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        sizes = config.aggregator
        self.config = config
        self.encoder = PatchEncoder(
            config.encoder, config.patch_size, config.encoder_norm_eps, config.attention
        )
        same = config.encoder.width == sizes.width
        self.projection = nn.Identity() if same else nn.Linear(config.encoder.width, sizes.width)
        block = BlockConfig(
            width=sizes.width,
            heads=sizes.heads,
            mlp_ratio=sizes.mlp_ratio,
            norm_eps=config.norm_eps,
            attention=config.attention,
            layer_scale=sizes.layer_scale,
            qk_norm_eps=QK_NORM_EPS if sizes.qk_norm else None,
        )
        self.frame_blocks = nn.ModuleList(Block(block) for _ in range(sizes.depth))
        self.global_blocks = nn.ModuleList(Block(block) for _ in range(sizes.depth))
        # [first frame, other frames]
        self.camera_token = nn.Parameter(torch.zeros(1, 2, 1, sizes.width))
        self.register_token = nn.Parameter(torch.zeros(1, 2, sizes.registers, sizes.width))
        # Not part of the released state dict.
        self.register_buffer("image_mean", channel_constant(IMAGENET_MEAN), persistent=False)
        self.register_buffer("image_std", channel_constant(IMAGENET_STD), persistent=False)

    def encode(self, images: Tensor) -> Tensor:
        """Images [B, N, 3, H, W] in [0, 1] -> the encoder's patch tokens [B, N, h*w, C]."""
        check_images(images, self.config.patch_size)
        normalised = (images.flatten(0, 1) - self.image_mean) / self.image_std
        return self.encoder(normalised).unflatten(0, images.shape[:2])

    def forward(self, images: Tensor) -> AggregatedTokens:
        """Images [B, N, 3, H, W] in [0, 1]; H and W multiples of the patch size."""
        patches = self.projection(self.encode(images))  # [B, N, L, C]
        specials = torch.cat([self.camera_token, self.register_token], dim=2)  # [1, 2, S, C]
        specials = first_and_others(specials, *patches.shape[:2])
        tokens = torch.cat([specials.to(patches.dtype), patches], dim=2)
        size, count = self.config.patch_size, specials.shape[2]
        grid = (images.shape[-2] // size, images.shape[-1] // size)
        sizes = self.config.aggregator
        wanted = dict.fromkeys((*self.config.levels, sizes.depth - 1))
        kept = alternate(
            self.frame_blocks,
            self.global_blocks,
            tokens,
            rotary(patch_positions(grid, count, images.device), sizes.width // sizes.heads),
            int(sizes.cross_frame_heads * sizes.heads),
            keep=wanted,
        )
        return AggregatedTokens(kept[: len(self.config.levels)], kept[-1], count, grid)


def first_and_others(tokens: Tensor, clips: int, frames: int) -> Tensor:
    """Two versions [1, 2, S, C] -> [clips, frames, S, C]: the first one for the first frame."""
    first, others = tokens[:, :1], tokens[:, 1:].expand(-1, frames - 1, -1, -1)
    return torch.cat([first, others], dim=1).expand(clips, -1, -1, -1)
