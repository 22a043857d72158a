"""The per-frame patch encoder: DINOv2's ViT with registers (method of arXiv:2309.16588)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow3r.model.blocks import Block
from flow3r.model.sizes import BlockConfig, EncoderConfig


class PatchEmbedding(nn.Module):
    """Non-overlapping patches to tokens; the weight has a convolution's layout."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(3, width, patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """[F, 3, H, W] -> [F, h*w, C], patches row-major."""
        size = self.patch_size
        patches = functional.unfold(images, size, stride=size).transpose(1, 2)  # [F, L, 3*p*p]
        # The same product as the convolution, and faster on a CPU.
        return functional.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class PatchEncoder(nn.Module):
    """Images to normalised patch tokens. No special token leaves the encoder."""

    def __init__(
        self, encoder: EncoderConfig, patch_size: int, norm_eps: float, attention: str
    ) -> None:
        super().__init__()
        self.grid = encoder.grid
        self.specials = encoder.registers + int(encoder.class_token)
        positions = encoder.grid**2 + int(encoder.class_token)
        if encoder.class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, encoder.width))
        else:
            self.register_parameter("cls_token", None)
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, encoder.width))
        if encoder.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, encoder.registers, encoder.width))
        else:
            self.register_parameter("register_tokens", None)
        self.patch_embed = PatchEmbedding(patch_size, encoder.width)
        block = BlockConfig(
            width=encoder.width,
            heads=encoder.heads,
            mlp_ratio=encoder.mlp_ratio,
            norm_eps=norm_eps,
            attention=attention,
            layer_scale=encoder.layer_scale,
        )
        self.blocks = nn.ModuleList(Block(block) for _ in range(encoder.depth))
        self.norm = nn.LayerNorm(encoder.width, eps=norm_eps)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [F, 3, H, W] -> patch tokens [F, h*w, C]."""
        size = self.patch_embed.patch_size
        grid = (images.shape[-2] // size, images.shape[-1] // size)
        tokens = self._with_specials(self.patch_embed(images), grid)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens[:, self.specials :])

    def _with_specials(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """[cls + position, registers (no position), patches + position]."""
        frames = patches.shape[0]
        offset = self.pos_embed.shape[1] - self.grid**2
        tokens = [patches + resize_positions(self.pos_embed[:, offset:], self.grid, grid)]
        if self.register_tokens is not None:
            tokens.insert(0, self.register_tokens.expand(frames, -1, -1))
        if self.cls_token is not None:
            tokens.insert(0, (self.cls_token + self.pos_embed[:, :1]).expand(frames, -1, -1))
        return torch.cat(tokens, dim=1)


def resize_positions(positions: Tensor, side: int, grid: tuple[int, int]) -> Tensor:
    """Resize position embeddings [1, side*side, C] to [1, h*w, C].

    Bicubic with antialiasing, to an explicit size, in float32, as DINOv2 with
    `interpolate_antialias` and offset 0; left alone on the native grid.
    """
    if grid == (side, side):
        return positions
    square = positions.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    resized = functional.interpolate(square, size=grid, mode="bicubic", antialias=True)
    return resized.flatten(2).transpose(1, 2)
