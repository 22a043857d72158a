"""torch.compile for the transformer blocks.

A model repeats a few kinds of block many times. Each kind is compiled once; compiling the whole
model would take many times as long for little more.
"""

from __future__ import annotations

import torch
from torch import nn

from flow3r.errors import ConfigError
from flow3r.model.blocks import Block

KINDS = 64
"""Torch compiles a piece of code for 8 combinations of sizes, options and modes, and then silently
stops. Blocks of all kinds share their code; training and evaluation differ in batch and mode."""


def compile_blocks(
    module: nn.Module, device: torch.device | str = "cpu", backend: str = "inductor"
) -> None:
    """Compile every block of a module in place; names of parameters and values stay, but for
    rounding. Compilation happens at the first pass.

    Raises ConfigError where the backend cannot compile for the device.
    """
    _check(torch.device(device), backend)
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, KINDS)
    for part in module.modules():
        if isinstance(part, Block):
            part.compile(backend=backend)


def _check(device: torch.device, backend: str) -> None:
    """Compile something small: what is missing would otherwise end the first step."""
    try:
        torch.compile(lambda x: x + 1, backend=backend)(torch.zeros(1, device=device))
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"training.compile=true: torch.compile does not work for {device.type} ({reason}); "
            "on a CPU it needs a C++ compiler such as g++, on a GPU triton. Or use compile=false"
        ) from error
