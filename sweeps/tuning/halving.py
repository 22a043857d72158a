"""Successive halving in step: at each rung the better half of all candidates goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, isnan

from flow3r.config import require
from sweeps.tuning.settings import DEFAULT

Better = Callable[[float, float], bool]


def rung_steps(shares: tuple[float, ...], total_steps: int, first: int) -> tuple[int, ...]:
    """The steps at which candidates are compared.

    first: steps before the stage that all formulations train; a rung lies after them, since a
    formulation without a flow head skips that stage and measures nothing there.
    """
    steps = tuple(round(share * total_steps) for share in shares)
    for share, step in zip(shares, steps, strict=True):
        require(
            first < step < total_steps,
            f"rungs: {share:g} of {total_steps} steps is step {step}, which does not lie between "
            f"the steps {first} and {total_steps}",
        )
    require(len(set(steps)) == len(steps), f"rungs: {list(steps)}: two of them are the same step")
    return steps


def field_sizes(candidates: int, rungs: int) -> tuple[int, ...]:
    """How many candidates train up to each rung and, last, to the end."""
    sizes = [candidates]
    for _ in range(rungs):
        sizes.append(ceil(sizes[-1] / 2))
    return tuple(sizes)


def survivors(scores: Mapping[int, float | None], places: int, better: Better) -> tuple[int, ...]:
    """The candidates that go on, in ascending order.

    The default always has one of the places, so that the number of the others is the same for every
    formulation. Equal scores: the lower number goes on. A candidate without a score (it failed)
    takes no place.
    """
    ranked = ranking(scores, better)
    if DEFAULT in ranked:
        ranked = [DEFAULT, *(number for number in ranked if number != DEFAULT)]
    return tuple(sorted(ranked[:places]))


def ranking(scores: Mapping[int, float | None], better: Better) -> list[int]:
    """The numbers of the candidates that have a score, best first; ties by number."""
    scored = {n: value for n, value in scores.items() if value is not None and not isnan(value)}
    upwards = better(1.0, 0.0)
    return sorted(scored, key=lambda n: (-scored[n] if upwards else scored[n], n))


def step_shares(sizes: tuple[int, ...], steps: tuple[int, ...], total_steps: int) -> float:
    """The steps of a whole field, in runs of full length."""
    ends = (*steps, total_steps)
    spent = sum(n * (end - start) for n, start, end in zip(sizes, (0, *steps), ends, strict=True))
    return spent / total_steps
