"""Alternating attention, shared by the backbones: every frame by itself, then all of a clip."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from flow3r.model.attention import cross_frame_bias
from flow3r.model.blocks import Block
from flow3r.model.rope import Rotary


def alternate(
    frame_blocks: Sequence[Block],
    global_blocks: Sequence[Block],
    tokens: Tensor,  # [B, N, T, C]
    frame_rotary: Rotary,  # of the T tokens of a frame
    cross_heads: int,
    keep: Collection[int],
) -> tuple[Tensor, ...]:
    """Run pairs of a per-frame and a global block over the tokens of all frames.

    Returns [per-frame output | global output], [B, N, T, 2C], of every pair in `keep` (rising
    indices). The first `cross_heads` heads of the global blocks see other frames only.
    """
    clips, frames, count, _ = tokens.shape
    heads = global_blocks[0].attn.heads
    bias = cross_frame_bias(frames, count, heads, cross_heads, tokens.device)
    global_rotary = frame_rotary.repeat(frames)
    x = tokens.flatten(0, 1)  # [B*N, T, C]
    kept = []
    for index, (frame_block, global_block) in enumerate(zip(frame_blocks, global_blocks)):
        per_frame = frame_block(x, frame_rotary)
        joined = per_frame.unflatten(0, (clips, frames)).flatten(1, 2)  # [B, N*T, C]
        x = global_block(joined, global_rotary, bias).view_as(per_frame)
        if index in keep:
            kept.append(torch.cat([per_frame, x], dim=-1).unflatten(0, (clips, frames)))
    return tuple(kept)
