"""Endless series of shuffled epochs over one pool, or over several sources with weights.

Every draw is a closed form of (seed, stream, number of the draw), so nothing has to be replayed to
continue at any step. Sources are interleaved evenly: after n draws, S sources have had their shares
of n to within S - 1 draws (for two sources the pattern is a Beatty sequence; more are split one
after the other: the first against all others, the second against those that are left, ...).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from flow3r.config import require
from flow3r.streams import numpy_generator, stream_seed

_KEPT = 2
"""Permutations in memory: a batch may reach over the end of an epoch."""
_LARGEST = 2**31
"""Of the sum of whole weights: products with 2^31 draws fit into 63 bits."""


class Epochs:
    """One pool: every clip once per epoch, in an order of its own for every epoch."""

    def __init__(self, seed: int, stream: str, size: int):
        self.seed, self.stream, self.size = seed, stream, size
        self._orders: dict[int, NDArray[np.int64]] = {}

    def at(self, draws: NDArray[np.int64]) -> NDArray[np.int64]:
        """The clips of these draws, counted from 0."""
        epochs = draws // self.size
        clips = np.empty(len(draws), dtype=np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            clips[here] = self._order(int(epoch))[draws[here] % self.size]
        return clips

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            if len(self._orders) == _KEPT:
                del self._orders[next(iter(self._orders))]
            generator = numpy_generator(self.seed, f"order/{self.stream}", epoch)
            self._orders[epoch] = generator.permutation(self.size)
        return self._orders[epoch]


@dataclass(frozen=True)
class Mixture:
    """The sources of one pool: their numbers of clips, and how often each is drawn from.

    The clips of the first source are the first positions of the pool, and so on.
    """

    sizes: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        require(
            len(self.sizes) == len(self.weights) > 0,
            f"weights={list(self.weights)}: needs one for each of the {len(self.sizes)} sources",
        )
        require(min(self.weights) > 0, f"weights={list(self.weights)} must be positive")
        require(min(self.sizes) > 0, f"a mixture needs clips in every source, got {self.sizes}")
        require(
            sum(self.whole_weights) <= _LARGEST,
            f"weights={list(self.weights)} have too many digits; use small whole numbers",
        )

    def __len__(self) -> int:
        return sum(self.sizes)

    @property
    def whole_weights(self) -> tuple[int, ...]:
        """The weights as the smallest whole numbers in the same proportion, from their digits."""
        exact = [Fraction(str(weight)) for weight in self.weights]
        common = math.lcm(*(weight.denominator for weight in exact))
        whole = [int(weight * common) for weight in exact]
        return tuple(weight // math.gcd(*whole) for weight in whole)


class MixedEpochs:
    """Several sources, each with epochs of its own, drawn from in fixed proportions."""

    def __init__(self, seed: int, stream: str, mixture: Mixture):
        self._weights = mixture.whole_weights
        self._phases = tuple(
            stream_seed(seed, f"mixture/{stream}", source) for source in range(len(mixture.sizes))
        )
        self._starts = np.cumsum([0, *mixture.sizes[:-1]])
        self._epochs = [
            Epochs(seed, f"{stream}/{source}", size) for source, size in enumerate(mixture.sizes)
        ]

    def at(self, draws: NDArray[np.int64]) -> NDArray[np.int64]:
        """The clips of these draws, as positions in the pool."""
        clips = np.empty(len(draws), dtype=np.int64)
        for source, here, number in deal(draws, self._weights, self._phases):
            clips[here] = self._starts[source] + self._epochs[source].at(number)
        return clips


def deal(
    draws: NDArray[np.int64], weights: Sequence[int], phases: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Deal draws to sources: (source, which of `draws` it gets, how many it had before each).

    `phases` shift the pattern without changing the proportions.
    """
    places, total = np.arange(len(draws)), sum(weights)
    for source, (weight, phase) in enumerate(zip(weights, phases, strict=True)):
        before = (draws * weight + phase % total) // total
        taken = ((draws + 1) * weight + phase % total) // total > before
        yield source, places[taken], before[taken]
        places, draws = places[~taken], (draws - before)[~taken]
        total -= weight
