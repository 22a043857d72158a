"""Multi-head self-attention with optional qk-norm, RoPE and a mask per head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow3r.model.rope import Rotary
from flow3r.model.sizes import BlockConfig


class Attention(nn.Module):
    """Self-attention on [B, T, C]: qkv, qk-norm, cast to v's dtype, RoPE, attention, proj."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.heads = config.heads
        head_width = config.width // config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.q_norm = _qk_norm(head_width, config.qk_norm_eps)
        self.k_norm = _qk_norm(head_width, config.qk_norm_eps)
        self.proj = nn.Linear(config.width, config.width)
        self.attend = {"sdpa": sdpa_attention, "softmax": softmax_attention}[config.attention]

    def forward(self, x: Tensor, rotary: Rotary | None, bias: Bias) -> Tensor:
        """Attend; `bias` [H, T, T] is added to the scores (-inf: may not attend)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # [B, T, 3, H, d]
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each [B, H, T, d]
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        if rotary is not None:
            q, k = rotary.apply(q), rotary.apply(k)
        attend = bias.attend if isinstance(bias, CrossFrameHeads) else self.attend
        attended = attend(q, k, v, bias)  # [B, H, T, d]
        return self.proj(attended.transpose(1, 2).flatten(2))


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """torch's fused attention on [B, H, T, d]."""
    mask = None if bias is None else bias.to(q.dtype)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """The same, written out; see `Pi3Config.attention` for when it is the faster one."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # [B, H, T, T]
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    return scores.softmax(dim=-1) @ v


@dataclass(frozen=True)
class CrossFrameHeads:
    """What `cross_frame_bias` says of sequences that are too long to write it down."""

    frames: int
    tokens: int
    """Of a frame."""
    heads: int
    """The first ones see other frames only."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Bias) -> Tensor:
        """Fused attention on [B, H, T, d], T = frames * tokens, in memory linear in T: of the
        restricted heads one frame asks at a time.
        """
        free = [x[:, self.heads :] for x in (q, k, v)]
        q, k, v = (x[:, : self.heads].unflatten(2, (self.frames, self.tokens)) for x in (q, k, v))
        parts = []
        for frame in range(self.frames):
            others = [torch.cat([x[:, :, :frame], x[:, :, frame + 1 :]], 2) for x in (k, v)]
            keys, values = (x.flatten(2, 3) for x in others)
            parts.append(sdpa_attention(q[:, :, frame], keys, values, None))
        restricted = torch.cat(parts, dim=2)
        if not free[0].shape[1]:
            return restricted
        return torch.cat([restricted, sdpa_attention(*free, None)], dim=1)


Bias = Tensor | CrossFrameHeads | None

LARGEST_BIAS = 2**26
"""Numbers of a written bias (256 MiB): beyond, `CrossFrameHeads` takes its place."""


def cross_frame_bias(
    frames: int, tokens: int, heads: int, cross_heads: int, device: torch.device
) -> Bias:
    """[heads, frames*tokens, frames*tokens] scores to add so that the first `cross_heads` heads
    see other frames only; None where nothing is masked (no such heads, or a single frame).
    """
    if cross_heads == 0 or frames == 1:
        return None
    if heads * (frames * tokens) ** 2 > LARGEST_BIAS:
        return CrossFrameHeads(frames, tokens, cross_heads)
    frame = torch.arange(frames, device=device).repeat_interleave(tokens)
    own = frame[:, None] == frame[None, :]
    restricted = torch.arange(heads, device=device) < cross_heads
    masked = restricted[:, None, None] & own
    return torch.zeros(masked.shape, device=device).masked_fill(masked, float("-inf"))


def _qk_norm(head_width: int, eps: float | None) -> nn.Module:
    return nn.Identity() if eps is None else nn.LayerNorm(head_width, eps=eps)
