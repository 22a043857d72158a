"""The precision of training and evaluation, by its name in the settings."""

from __future__ import annotations

import contextlib

import torch


def mixed_precision(
    device: torch.device | str, precision: str
) -> contextlib.AbstractContextManager[object]:
    """`bfloat16`: autocast for the backbone; heads leave it by themselves, losses stay outside."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
