"""One attention layer over all tokens of a clip: fused, written out, and plain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks import problem
from experiments.benchmarks.measure import Variant, measure
from experiments.benchmarks.references import plain_attention
from experiments.benchmarks.settings import Settings
from flow3r.model.attention import Attention
from flow3r.model.rope import patch_positions, rotary
from flow3r.model.sizes import BlockConfig
from flow3r.training.precision import mixed_precision


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """Attention as in a global block of the decoder: qk-norm, RoPE, every token of the clip."""
    config = problem.model_config(settings)
    sizes = problem.decoder_sizes(config)
    width, heads = sizes.width, sizes.heads
    side = settings.size // config.patch_size
    positions = patch_positions((side, side), sizes.registers, torch.device(settings.device))
    table = rotary(positions, width // heads).repeat(settings.frames)
    x = problem.tokens(settings, len(positions), width).flatten(1, 2)  # [B, N*T, C]
    block = BlockConfig(width, heads, 4.0, 1e-6, "sdpa", qk_norm_eps=1e-5)
    torch.manual_seed(0)
    fused = Attention(block).to(settings.device)
    written = Attention(replace(block, attention="softmax")).to(settings.device)
    written.load_state_dict(fused.state_dict())
    every = positions.repeat(settings.frames, 1)
    programs = {
        "plain": lambda: plain_attention(fused, x, every),
        "softmax": lambda: written(x, table, None),
        "sdpa": lambda: fused(x, table, None),
    }
    variants = [Variant(name, _run(program, settings)) for name, program in programs.items()]
    shape = {"tokens": x.shape[1], "width": width, "heads": heads}
    yield from measure("attention", variants, settings, shape)


def _run(program: Callable[[], Tensor], settings: Settings) -> Callable[[], dict[str, Tensor]]:
    def run() -> dict[str, Tensor]:
        with (
            mixed_precision(settings.device, settings.precision),
            torch.set_grad_enabled(settings.gradients),
        ):
            output = program()
            if settings.gradients:
                output.float().square().mean().backward()
        return {"output": output.detach()}

    return run
