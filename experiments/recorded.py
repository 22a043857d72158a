"""Recorded datasets as labelled clips of a run: beside the generated ones, or in their place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flow3r.config import require, require_choice
from flow3r.data.recorded.config import RecordedConfig

GENERATED = "generated"
POOLS = ("labelled", "source")


@dataclass(frozen=True)
class RecordedSets:
    """Recorded clips by the user's own names for them."""

    labelled: dict[str, RecordedConfig] = field(default_factory=dict)
    """In the pool of labelled target clips."""
    source: dict[str, RecordedConfig] = field(default_factory=dict)
    """In the pool that is replayed; pretraining stays with the generated sources."""
    weights: dict[str, float] = field(default_factory=dict)
    """How often a set is drawn from, relative to the others of its pool; 1 where not named."""
    generated_labelled: float = 0.0
    """The weight of the generated labelled clips; 0 leaves them out."""
    generated_source: float = 1.0
    """The weight of the generated source clips, all together; 0 leaves them out of the replay."""

    def __post_init__(self) -> None:
        names = [*self.labelled, *self.source]
        require(bool(names), "recorded sets need at least one of labelled.<name>, source.<name>")
        require(len(set(names)) == len(names), f"names of recorded sets must differ: {names}")
        require(GENERATED not in names, f"{GENERATED!r} cannot be the name of a recorded set")
        for name, weight in self.weights.items():
            require_choice("recorded.weights", name, names)
            require(weight > 0, f"weights.{name}={weight} must be positive; or leave the set out")
        for name in ("generated_labelled", "generated_source"):
            require(getattr(self, name) >= 0, f"{name}={getattr(self, name)} must not be negative")

    def layouts(self) -> set[tuple[int, int, int]]:
        """(frames, height, width) of every set."""
        return {(c.frames, *c.size) for c in (*self.labelled.values(), *self.source.values())}

    def keeps_generated(self, pool: str) -> bool:
        """Whether a pool has the generated clips, too."""
        return not getattr(self, pool) or getattr(self, f"generated_{pool}") > 0

    def pool_weights(self, pool: str) -> tuple[float, ...]:
        """The weight of the generated clips, if the pool has them, and of every recorded set."""
        generated = (getattr(self, f"generated_{pool}"),) if self.keeps_generated(pool) else ()
        return (*generated, *(self.weights.get(name, 1.0) for name in getattr(self, pool)))

    def clips(self, pool: str) -> int:
        """Recorded clips in a pool."""
        return sum(config.count for config in getattr(self, pool).values())


def sets_of(data: dict[str, Any], pool: str) -> dict[str, dict[str, Any]]:
    """The recorded sets of one pool in a resolved `data` mapping."""
    recorded = data.get("recorded")
    return recorded[pool] if recorded else {}


def keeps_generated(data: dict[str, Any], pool: str) -> bool:
    """Whether a pool of a resolved `data` mapping has generated clips."""
    return not sets_of(data, pool) or data["recorded"][f"generated_{pool}"] > 0
