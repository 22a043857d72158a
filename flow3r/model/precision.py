"""Where half precision is not good enough."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(reference: Tensor) -> torch.autocast:
    """A context that switches autocast off on the tensor's device; cast the inputs with `.float()`.

    Heads run in float32: exp(z), rotations and pixel coordinates lose their meaning in 8 bits.
    """
    return torch.autocast(reference.device.type, enabled=False)
