"""Which clips each training step sees, as a pure function of (seed, step).

A step's batch has four parts with streams of their own:

- `replay`: labelled clips of the source domain,
- `labelled`: labelled clips of the target domain,
- `unlabelled`: target clips without labels, in arms that use them,
- `filler`: labelled clips (target, and source in a fixed share) that take the places of the
  unlabelled ones in arms that do not, so that every arm sees equally many clips per step.

Because each part draws from its own stream, `replay` and `labelled` are identical in every arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from flow3r.config import LATER, require
from flow3r.data.epochs import Epochs, MixedEpochs, Mixture
from flow3r.data.pairs import PairsConfig


@dataclass(frozen=True)
class BatchConfig:
    """Clips per optimiser step. Every arm sees `replay + labelled + flexible` clips."""

    replay: int
    """Labelled source clips in every arm; without them the pose heads memorise the few labels."""
    labelled: int
    """Labelled target clips in every arm."""
    flexible: int
    """Places for unlabelled target clips; labelled ones where an arm has no unlabelled clips."""
    filler_replay_share: float = 0.5
    """Share of the flexible places filled with source clips in arms without unlabelled clips."""
    accumulate: int = 1
    """Split a step's batch into this many equal backward passes."""
    pairs: PairsConfig = field(default=PairsConfig(), metadata=LATER)
    """Which pairs of a clip are used; of every clip of the batch."""

    def __post_init__(self) -> None:
        for name in ("replay", "labelled", "flexible"):
            require(getattr(self, name) >= 0, f"{name}={getattr(self, name)} must not be negative")
        require(self.replay + self.labelled > 0, "replay + labelled must be at least 1")
        require(self.accumulate >= 1, f"accumulate={self.accumulate} must be at least 1")
        for name in ("replay", "labelled", "flexible"):
            count = getattr(self, name)
            require(
                count % self.accumulate == 0,
                f"{name}={count} must be divisible by accumulate={self.accumulate}",
            )
        share = self.filler_replay_share
        require(0 <= share <= 1, f"filler_replay_share={share} must lie in [0, 1]")

    @property
    def clips(self) -> int:
        """Clips per step, the same in every arm."""
        return self.replay + self.labelled + self.flexible

    def check_processes(self, count: int) -> None:
        """Raise ConfigError where a backward pass has fewer clips than there are processes."""
        clips = self.clips // self.accumulate
        require(
            count <= clips,
            f"the {clips} clips of a backward pass cannot be dealt to {count} processes; use at "
            f"most {clips}, or larger batches (batch.replay, batch.labelled, batch.flexible)",
        )

    @property
    def filler_replay(self) -> int:
        """Source clips among the filler."""
        return round(self.flexible * self.filler_replay_share)


@dataclass(frozen=True)
class Part:
    """One part of a step's batch: which clips of which pool."""

    name: str  # the stream's name: replay, labelled, unlabelled, filler-replay, filler-labelled
    pool: str  # source, labelled or unlabelled
    positions: np.ndarray  # into the pool, int64
    places: np.ndarray  # of these clips within the part of the whole batch, int64
    size: int  # clips of the part in the whole batch


@dataclass(frozen=True)
class Share:
    """Which of several processes a batch is dealt to, and how many there are."""

    rank: int = 0
    size: int = 1


WHOLE = Share()


class BatchPlan:
    """Maps a step to clip positions; stateless, so resuming needs the step number only."""

    def __init__(
        self,
        config: BatchConfig,
        seed: int,
        sizes: Mapping[str, int | Mixture],
        share: Share = WHOLE,
    ):
        """`sizes`: number of clips in the pools `source`, `labelled` and `unlabelled`, or a mixture
        of sources that are drawn from in given proportions.

        `share`: only these clips of each batch are named. Raises ConfigError when a pool that the
        batch draws from is empty, or when there are more processes than clips.
        """
        self.config, self.seed = config, seed
        clips = {pool: len(s) if isinstance(s, Mixture) else s for pool, s in sizes.items()}
        self._counts = {
            ("replay", "source"): config.replay,
            ("labelled", "labelled"): config.labelled,
        }
        if clips["unlabelled"]:
            self._counts["unlabelled", "unlabelled"] = config.flexible
        else:
            self._counts["filler-replay", "source"] = config.filler_replay
            self._counts["filler-labelled", "labelled"] = config.flexible - config.filler_replay
        for (name, pool), count in self._counts.items():
            require(
                count == 0 or clips[pool] > 0,
                f"batch.{name}: {count} clips a step are asked of the {pool} pool, which is empty",
            )
        config.check_processes(share.size)
        self._places = self._deal(share)
        self._series = {
            name: _series(seed, name, sizes[pool])
            for (name, pool), count in self._counts.items()
            if count
        }

    def step(self, step: int) -> tuple[Part, ...]:
        """The parts of optimiser step `step`, counted from 0; empty parts are left out."""
        parts = []
        for (name, pool), count in self._counts.items():
            if count:
                places = self._places[name]
                drawn = self._series[name].at(step * count + places)
                parts.append(Part(name, pool, drawn, places, count))
        return tuple(parts)

    def _deal(self, share: Share) -> dict[str, np.ndarray]:
        """The places of one process's clips in every part.

        Clips go round in turn, labelled ones first, separately for each backward pass: processes
        then differ by one clip at most, in labelled ones and in all of them.
        """
        passes = self.config.accumulate
        labelled = sum(n for (_, pool), n in self._counts.items() if pool != "unlabelled") // passes
        places, start = {}, 0
        for (name, pool), count in self._counts.items():
            clip = np.arange(count)
            if pool == "unlabelled":
                turn = labelled + clip % max(count // passes, 1)
            else:
                turn = (start + clip) % labelled
                start += count
            places[name] = np.flatnonzero(turn % share.size == share.rank)
        return places


def _series(seed: int, stream: str, size: int | Mixture) -> Epochs | MixedEpochs:
    if isinstance(size, Mixture):
        return MixedEpochs(seed, stream, size)
    return Epochs(seed, stream, size)
