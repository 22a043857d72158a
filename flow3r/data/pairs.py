"""Which pairs of frames a clip is labelled for."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor


def ordered_pairs(frames: int) -> Tensor:  # [N (N - 1), 2] int64
    """All ordered pairs (source, target) of different frames, source-major."""
    return torch.tensor(list(itertools.permutations(range(frames), 2)), dtype=torch.int64)
