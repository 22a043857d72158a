"""The pi3 backbone: patch encoder, then alternating per-frame and global attention.

Every frame is treated alike (shared register tokens, no frame index), so the backbone is
equivariant under permutations of the frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flow3r.model.alternating import alternate
from flow3r.model.blocks import Block
from flow3r.model.encoder import PatchEncoder
from flow3r.model.images import IMAGENET_MEAN, IMAGENET_STD, channel_constant, check_images
from flow3r.model.pi3.config import Pi3Config
from flow3r.model.rope import patch_positions, rotary
from flow3r.model.sizes import BlockConfig


@dataclass(frozen=True)
class BackboneTokens:
    """The backbone's output, register tokens first in every frame."""

    tokens: Tensor  # [B, N, R + h*w, 2C]
    registers: int
    grid: tuple[int, int]
    positions: Tensor  # [R + h*w, 2], for the RoPE of the task decoders


class Pi3Backbone(nn.Module):
    """Images to tokens of twice the decoder's width: [last frame block | last global block]."""

    def __init__(self, config: Pi3Config) -> None:
        super().__init__()
        decoder = config.decoder
        self.config = config
        self.encoder = PatchEncoder(
            config.encoder, config.patch_size, config.norm_eps, config.attention
        )
        # The released sizes agree; a pretrained encoder of another width gets a projection.
        same = config.encoder.width == decoder.width
        self.projection = nn.Identity() if same else nn.Linear(config.encoder.width, decoder.width)
        self.register_token = nn.Parameter(torch.zeros(1, 1, decoder.registers, decoder.width))
        block = BlockConfig(
            width=decoder.width,
            heads=decoder.heads,
            mlp_ratio=decoder.mlp_ratio,
            norm_eps=config.norm_eps,
            attention=config.attention,
            layer_scale=decoder.layer_scale,
            qk_norm_eps=config.qk_norm_eps if decoder.qk_norm else None,
        )
        self.decoder = nn.ModuleList(Block(block) for _ in range(decoder.depth))
        self.register_buffer("image_mean", channel_constant(IMAGENET_MEAN))
        self.register_buffer("image_std", channel_constant(IMAGENET_STD))

    def encode(self, images: Tensor) -> Tensor:
        """Images [B, N, 3, H, W] in [0, 1] -> the encoder's patch tokens [B, N, h*w, C]."""
        check_images(images, self.config.patch_size)
        normalised = (images.flatten(0, 1) - self.image_mean) / self.image_std
        return self.encoder(normalised).unflatten(0, images.shape[:2])

    def forward(self, images: Tensor) -> BackboneTokens:
        """Images [B, N, 3, H, W] in [0, 1]; H and W multiples of the patch size."""
        patches = self.projection(self.encode(images))  # [B, N, L, C]
        clips, frames = patches.shape[:2]
        registers = self.register_token.expand(clips, frames, -1, -1)
        tokens = torch.cat([registers, patches], dim=2)  # [B, N, T, C]
        size = self.config.patch_size
        grid = (images.shape[-2] // size, images.shape[-1] // size)
        positions = patch_positions(grid, registers.shape[2], images.device)
        decoder = self.config.decoder
        [decoded] = alternate(
            self.decoder[::2],
            self.decoder[1::2],
            tokens,
            rotary(positions, decoder.width // decoder.heads),
            int(decoder.cross_frame_heads * decoder.heads),
            keep=(decoder.depth // 2 - 1,),
        )
        return BackboneTokens(decoded, registers.shape[2], grid, positions)
