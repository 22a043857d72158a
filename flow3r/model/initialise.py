"""Initial weights of our own for models that are not started from released ones."""

from __future__ import annotations

import torch
from torch import nn

from flow3r.model.attention import Attention
from flow3r.model.backbone import Pi3Backbone
from flow3r.model.camera_head import CameraHead
from flow3r.model.heads import PixelHead

POSITION_STD = 0.02  # DINOv2
REGISTER_STD = 1e-6  # DINOv2 and pi3
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
def initialise_backbone(backbone: Pi3Backbone) -> None:
    """Linear layers as above, tokens and positions as released, tied q = k where configured."""
    initialise_transformer(backbone)
    encoder = backbone.encoder
    nn.init.xavier_uniform_(encoder.patch_embed.proj.weight.flatten(1))
    nn.init.zeros_(encoder.patch_embed.proj.bias)
    nn.init.trunc_normal_(encoder.pos_embed, std=POSITION_STD)
    for tokens in (encoder.cls_token, encoder.register_tokens, backbone.register_token):
        if tokens is not None:
            nn.init.normal_(tokens, std=REGISTER_STD)
    if backbone.config.decoder.tied_query_key:
        for block in backbone.decoder[1::2]:
            tie_query_and_key(block.attn)


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


@torch.no_grad()
def initialise_camera_head(head: CameraHead) -> None:
    """Start near the identity pose: small last weights, the identity matrix as rotation bias.

    Our own choice; the released code keeps torch's default (a random first rotation).
    """
    for layer in (head.fc_t, head.fc_rot):
        nn.init.xavier_uniform_(layer.weight, gain=OUTPUT_GAIN)
    nn.init.zeros_(head.fc_t.bias)
    head.fc_rot.bias.copy_(torch.eye(3, device=head.fc_rot.bias.device).flatten())
