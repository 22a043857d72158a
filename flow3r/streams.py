"""Named random streams: every random draw is a function of (seed, stream name, index)."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def stream_seed(seed: int, name: str, index: int = 0) -> int:
    """A 63-bit seed that depends on all three values and on nothing else."""
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def torch_generator(seed: int, name: str, index: int = 0) -> torch.Generator:
    """A CPU torch generator for the stream; CPU so that draws do not depend on the device."""
    return torch.Generator().manual_seed(stream_seed(seed, name, index))


def numpy_generator(seed: int, name: str, index: int = 0) -> np.random.Generator:
    """A numpy generator for the stream."""
    return np.random.default_rng(stream_seed(seed, name, index))
