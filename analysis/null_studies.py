"""Studies whose truth is known, drawn by the thousand: what intervals are calibrated on.

A design draws paired differences [studies, seeds, scenes] (arm - baseline) with a given true mean.
Made-up designs have variance components in shares of the variance of the mean of 5 seeds; recorded
ones resample real runs and scenes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.crossed import Components, terms
from flow3r.errors import DataError

Shape = tuple[int, int, int]
"""Studies, seeds, scenes."""
Draw = Callable[[Shape, float, np.random.Generator], np.ndarray]
REFERENCE_SEEDS = 5  # the shares of a made-up design hold at so many
PILOT: Shape = (400, 8, 64)  # drawn once to measure a design's variance components


@dataclass(frozen=True)
class Design:
    """draw(shape, difference, rng): paired differences with that true mean."""

    name: str
    about: str
    draw: Draw

    def components(self, difference: float, rng: np.random.Generator) -> Components:
        """The variances behind the differences, from a large draw; none below zero."""
        found = terms(self.draw(PILOT, difference, rng))
        _, seeds, scenes = PILOT
        residual = float(found.residual.mean())
        return Components(
            seed=seeds * max(float(found.seed.mean()) - residual, 0.0),
            scene=scenes * max(float(found.scene.mean()) - residual, 0.0),
            rest=seeds * scenes * residual,
        )


def made_up(scenes: int) -> list[Design]:
    """The shipped designs; the shares of their components hold at that number of scenes."""
    return [
        _gaussian("seeds", (0.9, 0.05, 0.05), scenes),
        _gaussian("even", (1 / 3, 1 / 3, 1 / 3), scenes),
        _gaussian("scenes", (0.1, 0.65, 0.25), scenes),
        _gaussian("noise", (0.0, 0.0, 1.0), scenes),
        Design(
            "heavy tails",
            "seeds t(5), scenes log-normal (skewness 6), rest t(3) of a scale that varies by scene;"
            " a third of the variance each",
            _heavy(_sds((1 / 3, 1 / 3, 1 / 3), scenes)),
        ),
        _accuracy("accuracy", 1.2),
        _accuracy("accuracy near 100 %", 3.0),
    ]


def recorded_null(name: str, runs: np.ndarray) -> Design:
    """A/A from real runs [R >= 3, K]: seeds are pairs of different runs of *one* arm.

    Runs and scenes are drawn with replacement. The truth is exactly zero: a pair is as likely as
    its reverse. A pair's mean is kept, its scenes' deviations from it get random signs: with a
    handful of runs the same pairs come up again, with the same deviations, as in no real study.
    """
    runs = _complete(name, runs, 3)
    means = runs.mean(axis=1)

    def draw(shape: Shape, difference: float, rng: np.random.Generator) -> np.ndarray:
        studies, seeds, scenes = shape
        first = rng.integers(len(runs), size=(studies, seeds, 1))
        other = (first + rng.integers(1, len(runs), size=first.shape)) % len(runs)
        chosen = rng.integers(runs.shape[1], size=(studies, 1, scenes))
        level = means[first] - means[other]
        deviations = runs[first, chosen] - runs[other, chosen] - level
        return difference + level + deviations * rng.choice((-1.0, 1.0), size=shape)

    return Design(name, f"A/A: {len(runs)} recorded runs of one arm x {runs.shape[1]} scenes", draw)


def recorded_difference(name: str, arm: np.ndarray, baseline: np.ndarray) -> Design:
    """Real runs of two arms [R >= 3, K], their mean difference taken out."""
    both = np.concatenate([arm, baseline])
    both = _complete(name, both, 3)
    arm, baseline = both[: len(arm)], both[len(arm) :]
    truth = arm.mean() - baseline.mean()

    def draw(shape: Shape, difference: float, rng: np.random.Generator) -> np.ndarray:
        studies, seeds, scenes = shape
        first = rng.integers(len(arm), size=(studies, seeds, 1))
        other = rng.integers(len(baseline), size=(studies, seeds, 1))
        chosen = rng.integers(arm.shape[1], size=(studies, 1, scenes))
        return arm[first, chosen] - baseline[other, chosen] - truth + difference

    about = f"{len(arm)} and {len(baseline)} recorded runs of two arms x {arm.shape[1]} scenes"
    return Design(name, about, draw)


def _complete(name: str, runs: np.ndarray, fewest: int) -> np.ndarray:
    runs = runs[:, ~np.isnan(runs).any(axis=0)]
    if len(runs) < fewest or runs.shape[1] < 2:
        raise DataError(
            f"{name}: {len(runs)} runs x {runs.shape[1]} scenes with a value in every run; "
            f"resampling needs at least {fewest} x 2"
        )
    return runs


def _sds(shares: tuple[float, float, float], scenes: int) -> tuple[float, float, float]:
    """Standard deviations of seeds, scenes and rest with a variance of the mean of 1."""
    seed, scene, rest = shares
    sizes = (REFERENCE_SEEDS * seed, scenes * scene, REFERENCE_SEEDS * scenes * rest)
    return tuple(float(np.sqrt(size)) for size in sizes)


def _gaussian(name: str, shares: tuple[float, float, float], scenes: int) -> Design:
    sds = _sds(shares, scenes)

    def draw(shape: Shape, difference: float, rng: np.random.Generator) -> np.ndarray:
        studies, seeds, scenes = shape
        values = rng.normal(difference, sds[2], shape)
        values += rng.normal(0, sds[0], (studies, seeds, 1))
        return values + rng.normal(0, sds[1], (studies, 1, scenes))

    text = ", ".join(f"{share:.0%} {w}" for share, w in zip(shares, ("seeds", "scenes", "rest")))
    return Design(name, f"Gaussian; variance of the mean of 5 seeds: {text}", draw)


def _heavy(sds: tuple[float, float, float]) -> Draw:
    def draw(shape: Shape, difference: float, rng: np.random.Generator) -> np.ndarray:
        studies, seeds, scenes = shape
        seed = rng.standard_t(5, (studies, seeds, 1)) / np.sqrt(5 / 3)
        scene = (rng.lognormal(0, 1, (studies, 1, scenes)) - np.exp(0.5)) / np.sqrt(
            np.exp(2) - np.exp(1)
        )
        scale = rng.uniform(0, np.sqrt(3), (studies, 1, scenes))  # mean square 1
        rest = rng.standard_t(3, shape) / np.sqrt(3) * scale
        return difference + sds[0] * seed + sds[1] * scene + sds[2] * rest

    return draw


ACCURACY_SDS = {"scene": 1.5, "arm_scene": 0.4, "arm_seed": 0.1, "noise": 1.0}
"""Standard deviations behind the probability to solve a scene, on the probit scale."""


def _accuracy(name: str, centre: float) -> Design:
    scale = float(np.sqrt(sum(sd**2 for sd in ACCURACY_SDS.values())))
    solved = 100 * float(stats.norm.cdf(centre / scale))

    def draw(shape: Shape, difference: float, rng: np.random.Generator) -> np.ndarray:
        studies, seeds, scenes = shape
        lower = solved - difference
        if not 0 < lower < 100:
            raise DataError(f"difference={difference}: {lower:.0f} % cannot be reached")
        shared = rng.normal(0, ACCURACY_SDS["scene"], (studies, 1, scenes))

        def scores(mean: float) -> np.ndarray:
            level = shared + mean + rng.normal(0, ACCURACY_SDS["arm_scene"], (studies, 1, scenes))
            level = level + rng.normal(0, ACCURACY_SDS["arm_seed"], (studies, seeds, 1))
            return 100.0 * (level + rng.normal(0, ACCURACY_SDS["noise"], shape) > 0)

        baseline = float(stats.norm.ppf(lower / 100)) * scale
        return scores(centre) - scores(baseline)

    about = f"{solved:.0f} % of scenes solved, 0 or 100 in a single run: most differences are ties"
    return Design(name, about, draw)
