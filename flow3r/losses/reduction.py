"""Means over a batch of which each process may hold only some of the clips.

A loss term is a sum over pixels, pairs or clips divided by how many there are in the whole batch.
Every process divides its own sum by the common count, so the terms of all processes add up to the
term of the batch, and so do their gradients.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Total = Callable[[Tensor], Tensor]
"""The sum of a count over all processes; counts carry no gradient."""


def alone(count: Tensor) -> Tensor:
    """The total where one process holds the whole batch."""
    return count
