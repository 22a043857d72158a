"""Which precision to run a model in."""

from __future__ import annotations

import torch

from flow3r.config import require_choice

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BF16_SINCE = 8
"""Major compute capability of the first devices with bfloat16."""


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """A dtype for `flow3r.load`. auto: as the released demo, bfloat16 on CUDA, or float16 where
    the device has no bfloat16; float32 elsewhere.
    """
    require_choice("precision", name, ("auto", *PRECISIONS))
    if name != "auto":
        return PRECISIONS[name]
    if device.type != "cuda":
        return torch.float32
    major, _ = torch.cuda.get_device_capability(device)
    return torch.bfloat16 if major >= _BF16_SINCE else torch.float16
