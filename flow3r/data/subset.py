"""Nested subsets: the clips of a smaller scale are part of every larger one."""

from __future__ import annotations

import hashlib

import numpy as np

from flow3r.errors import ConfigError


def nested_order(total: int, salt: str) -> np.ndarray:  # [total] int64, a permutation
    """The one fixed order of `total` clips, by the hash of (salt, index).

    Each clip's rank depends on its own index and the salt only, so a subset taken from a larger
    pool contains the subset of the same size fraction for ever.
    """
    keys = [hashlib.sha256(f"{salt}/{i}".encode()).digest() for i in range(total)]
    return np.array(sorted(range(total), key=keys.__getitem__), dtype=np.int64)


def nested_subset(total: int, count: int, salt: str) -> np.ndarray:  # [count] int64
    """The first `count` clips of the nested order; ConfigError if there are too few."""
    if not 0 <= count <= total:
        raise ConfigError(f"asked for {count} of {total} clips ({salt}); valid counts: 0..{total}")
    return nested_order(total, salt)[:count]
