"""Initial weights of our own for a VGGT model that is not started from released ones."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from flow3r.model.initialise import (
    OUTPUT_GAIN,
    TOKEN_STD,
    initialise_encoder_inputs,
    initialise_transformer,
    tie_query_and_key,
)
from flow3r.model.vggt.aggregator import Aggregator
from flow3r.model.vggt.dense_head import DenseHead
from flow3r.model.vggt.pose_head import PoseHead

FIRST_FIELD_OF_VIEW = math.radians(60.0)
POSE_GAIN = 0.01
"""Smaller than that of the other heads: nothing averages over patches before this one."""


@torch.no_grad()
def initialise_vggt(backbone: Aggregator, camera: PoseHead, dense: Iterable[DenseHead]) -> None:
    """A transformer's weights; poses near the identity, depth near 1, points near the origin."""
    _initialise_aggregator(backbone)
    _initialise_pose_head(camera)
    for head in dense:
        last = head.scratch.output_conv2[-1]
        nn.init.xavier_uniform_(last.weight, gain=OUTPUT_GAIN)
        nn.init.zeros_(last.bias)


def _initialise_aggregator(backbone: Aggregator) -> None:
    initialise_transformer(backbone)
    initialise_encoder_inputs(backbone.encoder)
    for tokens in (backbone.camera_token, backbone.register_token):
        nn.init.normal_(tokens, std=TOKEN_STD)
    if backbone.config.aggregator.tied_query_key:
        for block in backbone.global_blocks:
            tie_query_and_key(block.attn)


def _initialise_pose_head(head: PoseHead) -> None:
    """Small corrections that add up to the identity pose and a field of view of 60 degrees.

    Each round adds its share, so the quaternion points the right way from the first round on.
    """
    initialise_transformer(head)
    nn.init.xavier_uniform_(head.pose_branch.fc2.weight, gain=POSE_GAIN)
    first = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, *2 * [FIRST_FIELD_OF_VIEW]])
    head.pose_branch.fc2.bias.copy_(first / head.iterations)
