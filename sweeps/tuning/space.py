"""The candidates: one set of quasi-random points, the same for every formulation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flow3r.config import require
from sweeps.tuning.settings import Parameter

if TYPE_CHECKING:
    from optuna.distributions import FloatDistribution

DIGITS = 3
"""Of a value: nobody tunes finer, and the chosen ones are read and copied by people."""

Values = dict[str, float]


def distributions(space: Mapping[str, Parameter]) -> dict[str, FloatDistribution]:
    """The space in Optuna's words."""
    from optuna.distributions import FloatDistribution

    return {name: FloatDistribution(p.low, p.high, log=True) for name, p in space.items()}


def candidates(
    space: Mapping[str, Parameter], defaults: Values, count: int, seed: int
) -> tuple[Values, ...]:
    """The defaults, then points of a scrambled Sobol sequence; more of them keep the first ones.

    Raises ConfigError where a default lies outside of the space.
    """
    import optuna

    for name, parameter in space.items():
        require(
            parameter.low <= defaults[name] <= parameter.high,
            f"space.{name}: the default {defaults[name]:g} is not within "
            f"[{parameter.low:g}, {parameter.high:g}]",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed)
    quietly()
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial(defaults)
    drawn = [study.ask(distributions(space)).params for _ in range(count)]
    return (dict(defaults), *(_rounded(values) for values in drawn[1:]))


def quietly() -> None:
    """Have Optuna tell of warnings only; what it did is in our own console."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _rounded(values: Values) -> Values:
    return {name: float(f"{value:.{DIGITS}g}") for name, value in values.items()}
