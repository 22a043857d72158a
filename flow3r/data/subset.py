"""Nested subsets: the clips of a smaller scale are part of every larger one.

Clips that have names are ordered by the hash of the name, and a share of them is a share of the
values that the hash can have: whether a clip belongs to "10 %" depends on its name alone, so the
answer stays the same when other clips come or go. Generated clips have numbers, not names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from flow3r.errors import ConfigError

WORDS = 4
"""64-bit words of a SHA-256 digest, the most significant first."""


def nested_order(total: int, salt: str) -> NDArray[np.int64]:  # [total], a permutation
    """The one fixed order of `total` clips, by the hash of (salt, index).

    Each clip's rank depends on its own index and the salt only, so a subset taken from a larger
    pool contains the subset of the same size fraction for ever.
    """
    return _order(_hashes(map(str, range(total)), salt))


def nested_subset(total: int, count: int, salt: str) -> NDArray[np.int64]:  # [count]
    """The first `count` clips of the nested order; ConfigError if there are too few."""
    _check_count(count, total, salt)
    return nested_order(total, salt)[:count]


def named_subset(names: Iterable[str], count: int, salt: str) -> NDArray[np.int64]:  # [count]
    """The first `count` clips by the hash of (salt, name); ConfigError if there are too few."""
    hashes = _hashes(names, salt)
    _check_count(count, len(hashes), salt)
    return _order(hashes)[:count]


def named_share(names: Iterable[str], share: float, salt: str) -> NDArray[np.int64]:
    """The clips whose hash of (salt, name) lies in the lowest `share` of all hashes, in its order.

    About `share` of the clips; exactly the same ones whatever other names there are.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"a share of {share} of the clips ({salt}) must lie in (0, 1]")
    hashes = _hashes(names, salt)
    order = _order(hashes)
    limit = int(Fraction(str(share)) * 2**64)
    return order if limit == 2**64 else order[hashes[order, 0] < np.uint64(limit)]


def nested_counts(total: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """How many of `total` clips come from each source, in proportion to their sizes.

    No count falls when `total` rises, so that subsets of every source, and with them their union,
    are nested. Raises ConfigError if there are too few clips.
    """
    rest, clips = total, sum(sizes)
    _check_count(total, clips, "of all sources")
    counts = []
    for size in sizes:
        counts.append(rest * size // clips if clips else 0)
        rest, clips = rest - counts[-1], clips - size
    return tuple(counts)


def _hashes(names: Iterable[str], salt: str) -> NDArray[np.uint64]:  # [n, WORDS]
    digests = bytearray()
    for name in names:
        digests += hashlib.sha256(f"{salt}/{name}".encode()).digest()
    return np.frombuffer(digests, dtype=">u8").reshape(-1, WORDS).astype(np.uint64)


def _order(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.lexsort(hashes.T[::-1]).astype(np.int64)  # the last key of lexsort is the first


def _check_count(count: int, total: int, salt: str) -> None:
    if not 0 <= count <= total:
        raise ConfigError(f"asked for {count} of {total} clips ({salt}); valid counts: 0..{total}")
