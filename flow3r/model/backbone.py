"""The pi3 backbone: patch encoder, then alternating per-frame and global attention.

Every frame is treated alike (shared register tokens, no frame index), so the backbone is
equivariant under permutations of the frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flow3r.model.attention import cross_frame_bias
from flow3r.model.blocks import Block
from flow3r.model.config import BlockConfig, ModelConfig
from flow3r.model.encoder import PatchEncoder
from flow3r.model.rope import Rotary, patch_positions, rotary

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class BackboneTokens:
    """The backbone's output, register tokens first in every frame."""

    tokens: Tensor  # [B, N, R + h*w, 2C]
    registers: int
    grid: tuple[int, int]
    positions: Tensor  # [R + h*w, 2], for the RoPE of the task decoders


class Pi3Backbone(nn.Module):
    """Images to tokens of twice the decoder's width: [last frame block | last global block]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        decoder = config.decoder
        self.config = config
        self.encoder = PatchEncoder(config)
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
        self.register_buffer("image_mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

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
        width = self.config.decoder.width // self.config.decoder.heads
        decoded = self._alternate(tokens, rotary(positions, width))
        return BackboneTokens(decoded, registers.shape[2], grid, positions)

    def _alternate(self, tokens: Tensor, frame_rotary: Rotary) -> Tensor:
        """[B, N, T, C] -> [B, N, T, 2C]."""
        clips, frames, count, _ = tokens.shape
        decoder = self.config.decoder
        cross = int(decoder.cross_frame_heads * decoder.heads)
        bias = cross_frame_bias(frames, count, decoder.heads, cross, tokens.device)
        global_rotary = frame_rotary.repeat(frames)
        x = tokens.flatten(0, 1)  # [B*N, T, C]
        for frame_block, global_block in zip(self.decoder[::2], self.decoder[1::2]):
            per_frame = frame_block(x, frame_rotary)
            joined = per_frame.unflatten(0, (clips, frames)).flatten(1, 2)  # [B, N*T, C]
            x = global_block(joined, global_rotary, bias).view_as(per_frame)
        return torch.cat([per_frame, x], dim=-1).unflatten(0, (clips, frames))


def check_images(images: Tensor, patch_size: int) -> None:
    """Raise ValueError unless images are [B, N, 3, H, W] with sides divisible by the patch size."""
    if images.ndim != 5 or images.shape[2] != 3:
        raise ValueError(f"images must be [B, N, 3, H, W], got {tuple(images.shape)}")
    if images.shape[-2] % patch_size or images.shape[-1] % patch_size:
        raise ValueError(
            f"image size {tuple(images.shape[-2:])} is not a multiple of the patch size "
            f"{patch_size}"
        )
