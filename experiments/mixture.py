"""The labelled pools of a run: generated clips, recorded ones, or both by weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.recorded import POOLS, RecordedSets
from experiments.stages import pool_stages
from flow3r.data.epochs import Mixture
from flow3r.data.pool import Pool
from flow3r.data.store import ClipStore


def source_pool(data: dict[str, Any], output_dir: Path) -> Pool:
    """Every labelled source clip of a resolved `data` mapping."""
    return Pool.whole(_stores(data, "source", output_dir))


def labelled_pool(data: dict[str, Any], output_dir: Path) -> Pool:
    """The nested subset of the labelled target clips: of every store in proportion to its size."""
    return Pool.nested_union(
        _stores(data, "labelled", output_dir), data["labelled_clips"], "labelled"
    )


def pool_sizes(recorded: RecordedSets | None, pools: dict[str, Pool]) -> dict[str, int | Mixture]:
    """The number of clips of each pool; a mixture where recorded sets are drawn by weight."""
    sizes: dict[str, int | Mixture] = {name: len(pool) for name, pool in pools.items()}
    for name in POOLS if recorded else ():
        sets = len(getattr(recorded, name))
        if sets:
            counts = pools[name].counts
            generated = counts[: len(counts) - sets]
            parts = (*([sum(generated)] if generated else []), *counts[-sets:])
            sizes[name] = Mixture(parts, recorded.pool_weights(name))
    return sizes


def _stores(data: dict[str, Any], pool: str, output_dir: Path) -> list[ClipStore]:
    stages = pool_stages(data, pool)
    return [ClipStore.open(output_dir / "stages" / stage.id / "clips") for stage in stages]
