"""How far a mean over seeds and scenes may be off: the crossed random effects behind an interval.

Model: y[s, k] = mean + seed[s] + scene[k] + rest[s, k], all three random and independent. A claim
is about new seeds *and* new scenes, so that the variance of the grand mean over S x K values is

    var(seed) / S + var(scene) / K + var(rest) / (S K).

It is estimated from mean squares (Searle, Casella & McCulloch 1992, "Variance Components", ch. 4):
`seed` = variance of the seed means / S has expectation var(seed)/S + var(rest)/(S K), `scene`
alike, so the sum of both counts the rest twice and one `residual` is taken off. It is taken off
the term with more degrees of freedom (nearly always the scenes), never below zero: the other term,
kept whole, is an honest upper bound of its own part, and with few seeds any rule that lowers it
covers too little where the seeds matter.

The degrees of freedom are the harmonic mean of the terms' own, weighted by their shares of the
variance: 1/df = sum(share / df). Satterthwaite's 1/df = sum(share^2 / df) gives more of them and
covers down to 92 % at 3 seeds, this 94 to 97 % (`python analysis/calibration.py`); with a single
term both are that term's own, and the interval is Student's. With two seeds, one degree of freedom,
even this covers only 91 %, so that shares count more there (SHARPNESS): 92 to 98 %.

Scores that come in steps (percentages of a few pairs) can give several seeds the same mean by
chance; the terms above then vanish although single scenes differ. So a 95 % interval never reaches
less than one standard error of the rest to either side; coverage at 3 seeds moves by 0.3 points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

SHARPNESS = {1: 0.7}
"""Exponent of the shares, by the smallest degrees of freedom; 1 elsewhere."""

MOST_DF = 1e10  # Student's t is normal to the last digit shown long before

Part = tuple[np.ndarray, int]
"""A term of the variance of the mean, and its degrees of freedom."""


@dataclass(frozen=True)
class Terms:
    """Mean squares of matrices `values [..., S, K]`, each as its share in the mean's variance.

    mean, seed, scene, residual [...]; the degrees of freedom of the last three. `scene` and
    `residual` are zero with 0 degrees of freedom where there is one scene, `seed` and `residual`
    where there is one seed.
    """

    mean: np.ndarray
    seed: np.ndarray
    scene: np.ndarray
    residual: np.ndarray
    seed_df: int
    scene_df: int
    residual_df: int


@dataclass(frozen=True)
class Spread:
    """Standard error of a mean and its degrees of freedom [...]; infinite where there is none."""

    se: np.ndarray
    df: np.ndarray

    def half_width(self, level: float) -> np.ndarray:
        """Half the width of the interval of that level."""
        return student_quantile(0.5 + level / 2, self.df) * self.se


@dataclass(frozen=True)
class TwoWay:
    """rows [S], columns [K] and residuals [S, K] (0 at gaps) of a two-way fit, and their df."""

    rows: np.ndarray
    columns: np.ndarray
    residuals: np.ndarray
    df: int


@dataclass(frozen=True)
class Components:
    """Variances of one value: of the seed's, the scene's and the remaining part."""

    seed: float
    scene: float
    rest: float


def student_quantile(share: float, df: np.ndarray | float) -> np.ndarray | float:
    """Quantile of Student's t, normal for infinite df: scipy.stats.t.ppf without its overhead."""
    return special.stdtrit(np.minimum(df, MOST_DF), share)


def terms(values: np.ndarray) -> Terms:
    """Mean squares of complete matrices [..., S, K], or of one [S, K] with NaN for gaps.

    With gaps the mean is the mean over seeds of the seed's mean over its scenes, and the terms are
    those of its linearisation (two-way clustering: Cameron, Gelbach & Miller 2011).
    """
    if np.isnan(values).any():
        return _terms_with_gaps(values)
    seeds, scenes = values.shape[-2:]
    mean = values.mean((-2, -1))
    centred = values - mean[..., None, None]
    seed_means, scene_means = centred.mean(-1), centred.mean(-2)  # [..., S], [..., K]
    seed = (seed_means**2).mean(-1) / max(seeds - 1, 1)
    scene = (scene_means**2).mean(-1) / max(scenes - 1, 1)
    rest = centred - seed_means[..., None] - scene_means[..., None, :]
    residual_df = (seeds - 1) * (scenes - 1)
    residual = (rest**2).mean((-2, -1)) / max(residual_df, 1)
    return Terms(mean, seed, scene, residual, seeds - 1, scenes - 1, residual_df)


def _terms_with_gaps(values: np.ndarray) -> Terms:
    defined = ~np.isnan(values)
    seeds, scenes = values.shape
    per_seed = defined.sum(1)  # [S]
    filled = np.where(defined, values, 0.0)
    seed_means = filled.sum(1) / per_seed
    mean = seed_means.mean()
    weights = defined / (seeds * per_seed[:, None])  # [S, K], of each value in the mean
    pulls = (weights * (filled - seed_means[:, None])).sum(0)  # [K], of each scene on the mean
    fit = two_way_fit(values)
    noise = (fit.residuals**2).sum() / max(fit.df, 1)
    return Terms(
        mean=mean,
        seed=((seed_means - mean) ** 2).mean() / max(seeds - 1, 1),
        scene=(pulls**2).sum() * scenes / max(scenes - 1, 1),
        residual=noise * (weights**2).sum(),
        seed_df=seeds - 1,
        scene_df=scenes - 1,
        residual_df=fit.df,
    )


def two_way_fit(values: np.ndarray) -> TwoWay:
    """Least-squares row and column effects of `values [S, K]`, NaN for gaps.

    Every row and every column must hold a value. The rows' effects have mean zero (where the
    rows hang together through shared columns), so that a column's is its adjusted mean.
    """
    defined = ~np.isnan(values)
    filled = np.where(defined, values, 0.0)
    per_row, per_column = defined.sum(1), defined.sum(0)
    # The column effects are eliminated: a system in the few row effects remains.
    system = np.diag(per_row) - (defined / per_column) @ defined.T
    right = filled.sum(1) - (defined / per_column) @ filled.sum(0)
    rows, _, rank, _ = np.linalg.lstsq(system, right, rcond=1e-10)
    columns = (filled - defined * rows[:, None]).sum(0) / per_column
    residuals = np.where(defined, filled - rows[:, None] - columns, 0.0)
    return TwoWay(rows, columns, residuals, int(defined.sum() - len(per_column) - rank))


def spread(found: Terms) -> Spread:
    """Standard error and degrees of freedom of the mean of one (paired) matrix."""
    seed, scene = found.seed, found.scene
    if found.seed_df <= found.scene_df:
        scene = np.maximum(scene - found.residual, 0.0)
    elif found.scene_df:
        seed = np.maximum(seed - found.residual, 0.0)
    return _at_least(found.residual, combine([(seed, found.seed_df), (scene, found.scene_df)]))


def unpaired_spread(arm: Terms, baseline: Terms, scene: np.ndarray) -> Spread:
    """Of the difference of two arms that share the scenes but not the seeds.

    scene: the scene term of the difference of the arms' scene means.
    """
    residual = arm.residual + baseline.residual
    shared = np.maximum(scene - residual, 0.0)
    seeds = [(arm.seed, arm.seed_df), (baseline.seed, baseline.seed_df)]
    return _at_least(residual, combine([*seeds, (shared, arm.scene_df)]))


def _at_least(residual: np.ndarray, found: Spread) -> Spread:
    """A spread whose 95 % interval has at least the residual's standard error as half width."""
    return Spread(
        np.maximum(found.se, np.sqrt(residual) / student_quantile(0.975, found.df)), found.df
    )


def combine(parts: list[Part]) -> Spread:
    """The sum of the terms; see the module text for its degrees of freedom.

    Terms without degrees of freedom are absent; without any term there is no error to speak of.
    """
    parts = [(np.asarray(term, dtype=float), df) for term, df in parts if df]
    if not parts:
        return Spread(np.array(0.0), np.array(np.inf))
    total = sum(term for term, _ in parts)
    fewest = min(df for _, df in parts)
    exponent = SHARPNESS.get(fewest, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = sum((term / total) ** exponent / df for term, df in parts)
        df = np.where(total > 0, np.maximum(1 / inverse, fewest), np.inf)
    return Spread(np.sqrt(total), df)


def components(values: np.ndarray) -> Components:
    """The three variances behind one matrix [S >= 2, K >= 2], none below zero."""
    found = terms(values)
    seeds, scenes = found.seed_df + 1, found.scene_df + 1
    return Components(
        seed=float(seeds * max(found.seed - found.residual, 0.0)),
        scene=float(scenes * max(found.scene - found.residual, 0.0)),
        rest=float(seeds * scenes * found.residual),
    )
