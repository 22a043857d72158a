"""Slow, plain ways of computing what the package computes fast.

Written from the description of the released models, with their parameters taken from our modules.
The benchmark times against them, and tests compare values and gradients with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow3r.data.clip import LabelledClips, clips_at
from flow3r.formulations.base import frames_of
from flow3r.losses.flow import flow_loss
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.model.attention import Attention
from flow3r.model.outputs import Flow, Geometry


def concatenating_fuse(head: nn.Module, camera: Tensor, geometry: Tensor, pairs: Tensor) -> Tensor:
    """Latents [B, N, L, C] of one level, pairs [(B,) P, 2] -> fused tokens [B, P, L, C].

    As released: the three inputs of every pair are concatenated, then the MLP and the norm.
    """
    source, target = pairs.unbind(-1)
    local, other = frames_of(camera, source), frames_of(camera, target)
    pooled = other.mean(dim=2, keepdim=True).expand_as(other)
    joined = torch.cat([local, pooled, frames_of(geometry, source)], dim=-1)
    return head.norm(head.mlp(joined))


def plain_dpt(
    head: nn.Module, levels: Sequence[Tensor], grid: tuple[int, int], image_size: tuple[int, int]
) -> Tensor:
    """Tokens [F, h*w, C] of every level -> [F, outputs, H, W], one released operation per line."""
    scratch, pyramid = head.scratch, []
    for index, tokens in enumerate(levels):
        maps = tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)
        maps = plain_coordinates(head.projects[index](maps), image_size)
        maps = head.resize_layers[index](maps)
        pyramid.append(scratch.get_submodule(f"layer{index + 1}_rn")(maps))
    sizes = [tuple(2 * side for side in pyramid[0].shape[-2:])]
    sizes += [tuple(maps.shape[-2:]) for maps in pyramid[:-1]]
    x = pyramid[-1]
    for index in reversed(range(len(pyramid))):
        fusion = scratch.get_submodule(f"refinenet{index + 1}")
        if index < len(pyramid) - 1:
            x = x + _residual_unit(fusion.resConfUnit1, pyramid[index])
        x = _residual_unit(fusion.resConfUnit2, x)
        x = fusion.out_conv(_resized(x, sizes[index]))
    x = _resized(scratch.output_conv1(x), image_size)
    return scratch.output_conv2(plain_coordinates(x, image_size))


def concatenating_head(
    head: nn.Module,
    camera: Sequence[Tensor],
    geometry: Sequence[Tensor],
    pairs: Tensor,
    grid: tuple[int, int],
    image_size: tuple[int, int],
) -> Tensor:
    """The whole released flow head: [B*P, 2, H, W]."""
    fused = [
        concatenating_fuse(head, level, points, pairs).flatten(0, 1)
        for level, points in zip(camera, geometry)
    ]
    return plain_dpt(head, fused, grid, image_size)


def plain_coordinates(maps: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Maps [F, C, h, w] plus 0.1 times [sin x | cos x | sin y | cos y] of their pixels."""
    channels, height, width = maps.shape[1:]
    aspect = image_size[1] / image_size[0]
    diagonal = math.sqrt(aspect**2 + 1)
    x = torch.linspace(-1, 1, width, dtype=torch.float64) * (width - 1) / width * aspect / diagonal
    y = torch.linspace(-1, 1, height, dtype=torch.float64) * (height - 1) / height / diagonal
    omega = 100.0 ** -(torch.arange(channels // 4, dtype=torch.float64) / (channels // 4))
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    embedding = torch.cat(
        [
            f(omega[:, None, None] * position)
            for position in (columns, rows)
            for f in (torch.sin, torch.cos)
        ]
    )
    return maps + 0.1 * embedding.float().to(maps.device)


def plain_attention(module: Attention, x: Tensor, positions: Tensor) -> Tensor:
    """Self-attention [B, T, C] with RoPE at integer `positions` [T, 2], everything written out.

    The rotation's table is made anew, queries and keys are cut and joined, and the scores are held
    in memory.
    """
    q, k, v = module.qkv(x).unflatten(-1, (3, module.heads, -1)).permute(2, 0, 3, 1, 4)
    q = plain_rope(module.q_norm(q), positions)
    k = plain_rope(module.k_norm(k), positions)
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    attended = scores.softmax(dim=-1) @ v
    return module.proj(attended.transpose(1, 2).flatten(2))


def plain_rope(x: Tensor, positions: Tensor) -> Tensor:
    """Rotate [..., T, d]: the first half of the channels by y, the second by x."""
    half = x.shape[-1] // 2
    exponent = torch.arange(0, half, 2, device=x.device, dtype=torch.float32) / half
    turned = []
    for part, position in zip(x.split(half, dim=-1), positions.unbind(-1)):
        angle = position[:, None].float() / 100.0**exponent  # [T, d/4]
        angle = torch.cat([angle, angle], dim=-1).to(x.dtype)
        first, second = part.chunk(2, dim=-1)
        swapped = torch.cat([-second, first], dim=-1)
        turned.append(part * angle.cos() + swapped * angle.sin())
    return torch.cat(turned, dim=-1)


def looped_losses(
    geometry: Geometry, flow: Flow, clips: LabelledClips, config: LossConfig
) -> Tensor:
    """The mean over clips of the sum of all losses, one clip after the other (as pi3's code).

    Equal to the batched losses where every clip has as many valid and covisible pixels.
    """
    total = flow.target_px.new_zeros(())
    for index in range(len(clips.images)):
        one = slice(index, index + 1)
        clip = clips_at(clips, one)
        terms = supervised_loss(geometry.clips(one), clip, config)
        of_clip = Flow(flow.target_px[one], flow.valid[one])
        total = total + terms["total"] + config.flow_weight * flow_loss(of_clip, clip.flow, config)
    return total / len(clips.images)


def _residual_unit(unit: nn.Module, x: Tensor) -> Tensor:
    """The released unit with its in-place ReLU: the skip carries relu(x)."""
    positive = functional.relu(x)
    return unit.conv2(functional.relu(unit.conv1(positive))) + positive


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=True)
