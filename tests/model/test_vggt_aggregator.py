"""The aggregator against a slow reference written from the description, token by token."""

import math

import torch

from flow3r.model.config import AggregatorConfig, DenseHeadConfig, EncoderConfig, VggtConfig
from flow3r.model.vggt.aggregator import Aggregator

WIDTH, HEADS, REGISTERS = 16, 2, 2
SIZE = WIDTH // HEADS
CONFIG = VggtConfig(
    patch_size=8,
    encoder=EncoderConfig(width=WIDTH, depth=1, heads=2, grid=3),
    aggregator=AggregatorConfig(width=WIDTH, depth=3, heads=HEADS, registers=REGISTERS),
    dense=DenseHeadConfig(features=8, out_channels=(4, 4), ladder=(2.0, 1.0), hidden=4),
    levels=(0, 2),
)


def turned(vector: torch.Tensor, place: tuple[int, int]) -> torch.Tensor:
    """RoPE of one head's query or key: y turns the first half of the channels, x the second."""
    half, quarter = SIZE // 2, SIZE // 4
    out = vector.clone()
    for axis, position in enumerate(place):
        for k in range(quarter):
            angle = position * 100 ** (-2 * k / half)
            i = axis * half + k
            a, b = vector[i], vector[i + quarter]
            out[i] = a * math.cos(angle) - b * math.sin(angle)
            out[i + quarter] = b * math.cos(angle) + a * math.sin(angle)
    return out


def norm(layer: torch.nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    scale = (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return (x - x.mean(-1, keepdim=True)) / scale * layer.weight + layer.bias


def attention(attn, x: torch.Tensor, places: list[tuple[int, int]]) -> torch.Tensor:
    q, k, v = attn.qkv(x).chunk(3, dim=-1)
    out = torch.zeros_like(x)
    for start in range(0, WIDTH, SIZE):
        part = slice(start, start + SIZE)
        queries = [turned(norm(attn.q_norm, t), p) for t, p in zip(q[:, part], places)]
        keys = [turned(norm(attn.k_norm, t), p) for t, p in zip(k[:, part], places)]
        for i, query in enumerate(queries):
            weights = torch.stack([query @ key for key in keys]).div(SIZE**0.5).softmax(0)
            out[i, part] = weights @ v[:, part]
    return attn.proj(out)


def block_output(block, x: torch.Tensor, places: list[tuple[int, int]]) -> torch.Tensor:
    x = x + block.ls1.gamma * attention(block.attn, norm(block.norm1, x), places)
    return x + block.ls2.gamma * block.mlp(norm(block.norm2, x))


def reference(model: Aggregator, patches: torch.Tensor) -> list[torch.Tensor]:
    """Patch tokens [N, 6, C] of one clip (2 x 3 patches) -> per pair of blocks [N, T, 2C]."""
    places = [(0, 0)] * (1 + REGISTERS) + [(y, x) for y in (1, 2) for x in (1, 2, 3)]
    frames = []
    for index, tokens in enumerate(patches):
        version = 0 if index == 0 else 1
        camera, registers = model.camera_token[0, version], model.register_token[0, version]
        frames.append(torch.cat([camera, registers, tokens]))
    outputs = []
    for frame_block, global_block in zip(model.frame_blocks, model.global_blocks):
        frames = [block_output(frame_block, x, places) for x in frames]
        joined = block_output(global_block, torch.cat(frames), places * len(frames))
        after = joined.split(len(places))
        outputs.append(torch.stack([torch.cat(pair, dim=-1) for pair in zip(frames, after)]))
        frames = list(after)
    return outputs


@torch.no_grad()
def test_every_level_is_the_described_one():
    model = Aggregator(CONFIG)
    for parameter in model.parameters():
        parameter.copy_(0.3 * torch.randn_like(parameter))
    images = torch.rand(1, 3, 3, 16, 24)
    result = model(images)
    expected = reference(model, model.encode(images)[0])
    assert (result.specials, result.grid) == (1 + REGISTERS, (2, 3))
    for level, index in zip(result.levels, CONFIG.levels):
        torch.testing.assert_close(level[0], expected[index], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(result.last[0], expected[-1], rtol=1e-4, atol=1e-4)
