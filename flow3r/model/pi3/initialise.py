"""Initial weights of our own for a pi3 model that is not started from released ones."""

from __future__ import annotations

import torch
from torch import nn

from flow3r.model.initialise import (
    OUTPUT_GAIN,
    TOKEN_STD,
    initialise_encoder_inputs,
    initialise_transformer,
    tie_query_and_key,
)
from flow3r.model.pi3.backbone import Pi3Backbone
from flow3r.model.pi3.camera_head import CameraHead


@torch.no_grad()
def initialise_backbone(backbone: Pi3Backbone) -> None:
    """A transformer's weights, tokens as released, tied q = k where configured."""
    initialise_transformer(backbone)
    initialise_encoder_inputs(backbone.encoder)
    nn.init.normal_(backbone.register_token, std=TOKEN_STD)
    if backbone.config.decoder.tied_query_key:
        for block in backbone.decoder[1::2]:
            tie_query_and_key(block.attn)


@torch.no_grad()
def initialise_camera_head(head: CameraHead) -> None:
    """Start near the identity pose: small last weights, the identity matrix as rotation bias.

    Our own choice; the released code keeps torch's default (a random first rotation).
    """
    for layer in (head.fc_t, head.fc_rot):
        nn.init.xavier_uniform_(layer.weight, gain=OUTPUT_GAIN)
    nn.init.zeros_(head.fc_t.bias)
    head.fc_rot.bias.copy_(torch.eye(3, device=head.fc_rot.bias.device).flatten())
