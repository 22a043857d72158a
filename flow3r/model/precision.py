"""Where half precision is good enough, and where it is not."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor


def full_precision(reference: Tensor) -> torch.autocast:
    """A context that switches autocast off on the tensor's device; cast the inputs with `.float()`.

    Heads run in float32: exp(z), rotations and pixel coordinates lose their meaning in 8 bits.
    """
    return torch.autocast(reference.device.type, enabled=False)


def reduced_precision(
    reference: Tensor, dtype: torch.dtype
) -> contextlib.AbstractContextManager[object]:
    """Autocast to `dtype` on the tensor's device; nothing changes for float32."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(reference.device.type, dtype=dtype)
