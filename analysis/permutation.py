"""Exact tests that assume nothing about the shape of a distribution, and Holm's correction.

A paired difference that means nothing would as well have come out with the other sign: the
sign-flip test (Fisher 1935, "The Design of Experiments", ch. 3) counts how many of the 2^n ways to
set the signs of n differences give a mean as far from zero as the one seen. The seen one and its
mirror image always count, so that a two-sided p is never below 2^(1-n): 0.25 with 3 seeds, 0.0625
with 5. **Below 6 seeds no such test over seeds can reach 0.05**, whatever the effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flow3r.errors import DataError

ALL_SIGNS_UP_TO = 20  # differences; 2^19 sums of them are 4 MB
RANDOM_SIGNS = 99_999
STREAM = 20261124  # any fixed number: the same records give the same p
CHUNK = 2_000
ROUNDING = 1e-9  # relative: sums of the same numbers in another order count as equal


@dataclass(frozen=True)
class SignFlip:
    """p_value; smallest: the least that n differences can give; exact: all signs were tried."""

    p_value: float
    smallest: float
    n: int
    exact: bool

    def can_reach(self, alpha: float) -> bool:
        """Whether any differences at all could have been significant at alpha."""
        return self.smallest <= alpha


def seed_test(values: np.ndarray) -> SignFlip:
    """Over the seeds' mean differences; values [S, K], NaN for gaps."""
    return sign_flip_test(np.nanmean(values, axis=1))


def scene_test(values: np.ndarray) -> SignFlip:
    """Over the scenes' mean differences: about other scenes, with the very runs that were made."""
    return sign_flip_test(np.nanmean(values, axis=0))


def sign_flip_test(differences: np.ndarray) -> SignFlip:
    """Two-sided sign-flip test of a mean of zero; differences [n], finite.

    Exact up to 20 differences, then with 99,999 random sign patterns and the seen one
    (Phipson & Smyth 2010, so that p is never zero).
    """
    differences = np.asarray(differences, dtype=np.float64)
    if differences.ndim != 1 or differences.size == 0:
        raise DataError(f"differences of shape {differences.shape}: expected a non-empty vector")
    if not np.isfinite(differences).all():
        raise DataError("a difference is not finite: leave its seed or scene out first")
    n = len(differences)
    bound = abs(differences.sum()) - ROUNDING * np.abs(differences).sum()
    if n <= ALL_SIGNS_UP_TO:
        share = float((np.abs(_all_sums(differences)) >= bound).mean())
        return SignFlip(share, smallest_p(n), n, True)
    as_far = sum(int((np.abs(part) >= bound).sum()) for part in _random_sums(differences))
    return SignFlip((1 + as_far) / (1 + RANDOM_SIGNS), 1 / (1 + RANDOM_SIGNS), n, False)


def smallest_p(n: int) -> float:
    """The least two-sided p of an exact sign-flip test of n differences."""
    return 2.0 ** (1 - n)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p of a family of tests (Holm 1979), in the order given.

    Adjusted p <= alpha holds the chance of any false claim in the family at alpha, whatever the
    dependence of the tests.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    if p_values.size and not ((p_values >= 0) & (p_values <= 1)).all():
        raise DataError(f"p values {p_values.tolist()}: each lies in [0, 1]")
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _all_sums(differences: np.ndarray) -> np.ndarray:
    """The sums under all signs of all but the first [2^(n-1)]; the rest are their mirror images."""
    sums = differences[:1]
    for value in differences[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _random_sums(differences: np.ndarray):
    rng = np.random.default_rng([STREAM, len(differences)])
    for start in range(0, RANDOM_SIGNS, CHUNK):
        size = (min(CHUNK, RANDOM_SIGNS - start), len(differences))
        yield (2.0 * rng.integers(2, size=size) - 1.0) @ differences
