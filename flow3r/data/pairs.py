"""Which pairs of frames a clip is labelled for, and which of them a step uses."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow3r.config import require
from flow3r.errors import ConfigError

_BELOW = -1e6
"""Below the key of every pair that is covisible enough: Gumbel variables stay within +-100."""


def ordered_pairs(frames: int) -> Tensor:  # [N (N - 1), 2] int64
    """All ordered pairs (source, target) of different frames, source-major."""
    return torch.tensor(list(itertools.permutations(range(frames), 2)), dtype=torch.int64)


@dataclass(frozen=True)
class PairsConfig:
    """Which of a clip's labelled pairs a step uses; by default all of them."""

    per_clip: int | None = None
    """So many pairs of every clip, drawn anew in every step."""
    gaps: dict[str, float] | None = None
    """Weight of each gap |target - source| in frames, shared by its pairs; a gap that is not named
    is not drawn. None: every pair is as likely as any other."""
    min_covisibility: float = 0.0
    """Pairs whose mean covisibility is below are drawn only where a clip has too few others, the
    most covisible ones first."""

    def __post_init__(self) -> None:
        require(
            self.per_clip is None or self.per_clip >= 1,
            f"per_clip={self.per_clip} must be at least 1, or null for all pairs",
        )
        for gap, weight in (self.gaps or {}).items():
            require(
                gap.isdecimal() and int(gap) >= 1 and weight >= 0,
                f"gaps={self.gaps}: needs gaps of 1, 2, ... frames and weights that are not "
                "negative",
            )
        share = self.min_covisibility
        require(0 <= share < 1, f"min_covisibility={share} must lie in [0, 1)")
        require(
            self.per_clip is not None or (self.gaps is None and share == 0),
            "gaps and min_covisibility choose among the pairs of a clip; say how many: per_clip",
        )

    def weights(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:  # [Q, 2] -> [Q]
        """The weight of each labelled pair; ConfigError where fewer than `per_clip` have one."""
        gap = np.abs(pairs[:, 1] - pairs[:, 0])
        if self.gaps is None:
            weights = np.ones(len(pairs))
        else:
            of_gap = np.array([self.gaps.get(str(g), 0.0) for g in gap.tolist()])
            weights = of_gap / np.bincount(gap)[gap]
        usable = int((weights > 0).sum())
        if self.per_clip is not None and usable < self.per_clip:
            raise ConfigError(
                f"batch.pairs: per_clip={self.per_clip}, but the clips are labelled for {usable} "
                f"pairs of these gaps; the labelled gaps are {sorted(set(gap.tolist()))}"
            )
        return weights


def choose_pairs(
    config: PairsConfig,
    weights: NDArray[np.float64],  # [Q]
    gumbel: NDArray[np.float64],  # [B, Q] standard Gumbel variables
    covisibility: NDArray[np.float64] | None,  # [B, Q] mean over the source's pixels
) -> NDArray[np.int64]:  # [B, P] in rising order
    """`per_clip` of Q pairs of every clip, drawn without replacement with these weights.

    The P largest of log(weight) + Gumbel are such a draw (Efraimidis and Spirakis 2006; the first
    one has a probability proportional to its weight).
    """
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    keys = log_weights + gumbel
    if covisibility is not None:
        last_resort = np.where(weights > 0, _BELOW + covisibility, -np.inf)
        keys = np.where(covisibility >= config.min_covisibility, keys, last_resort)
    order = np.argsort(-keys, axis=1, kind="stable")
    return np.sort(order[:, : config.per_clip], axis=1)
