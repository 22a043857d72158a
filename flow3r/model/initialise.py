"""Initial weights of our own for models that are not started from released ones."""

from __future__ import annotations

import torch
from torch import nn

from flow3r.model.attention import Attention
from flow3r.model.encoder import PatchEncoder
from flow3r.model.heads import PixelHead

POSITION_STD = 0.02  # DINOv2
TOKEN_STD = 1e-6  # DINOv2, pi3 and VGGT
OUTPUT_GAIN = 0.1
"""Small first outputs: depth near 1, poses near the identity, whatever the features are."""


@torch.no_grad()
def initialise_transformer(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for every linear layer in `module`.

    Queries, keys and values are three matrices in one and are initialised as three. DINOv2's
    normal with std 0.02 would be right at width 1024 only.
    """
    for part in module.modules():
        if isinstance(part, Attention):
            for matrix in part.qkv.weight.chunk(3):
                nn.init.xavier_uniform_(matrix)
            nn.init.zeros_(part.qkv.bias)
    stacked = {part.qkv for part in module.modules() if isinstance(part, Attention)}
    for part in module.modules():
        if isinstance(part, nn.Linear) and part not in stacked:
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)


@torch.no_grad()
def initialise_encoder_inputs(encoder: PatchEncoder) -> None:
    """Patch projection, positions and tokens of the encoder; its blocks are a transformer's."""
    nn.init.xavier_uniform_(encoder.patch_embed.proj.weight.flatten(1))
    nn.init.zeros_(encoder.patch_embed.proj.bias)
    nn.init.trunc_normal_(encoder.pos_embed, std=POSITION_STD)
    for tokens in (encoder.cls_token, encoder.register_tokens):
        if tokens is not None:
            nn.init.normal_(tokens, std=TOKEN_STD)


@torch.no_grad()
def tie_query_and_key(attention: Attention) -> None:
    """Copy the query weights to the keys: similar tokens attend to each other from the start."""
    for parameter in (attention.qkv.weight, attention.qkv.bias):
        query, key, _ = parameter.chunk(3)
        key.copy_(query)


@torch.no_grad()
def initialise_pixel_head(head: PixelHead) -> None:
    """Xavier times a small gain; zero bias (depth starts near 1)."""
    nn.init.xavier_uniform_(head.proj.weight, gain=OUTPUT_GAIN)
    nn.init.zeros_(head.proj.bias)
