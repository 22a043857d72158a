"""The pools of a run: clips of one source, or of several by weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.recorded import POOLS, RecordedSets
from experiments.stages import pool_stages, source_stages
from experiments.unlabelled import sources_of
from flow3r.data.epochs import Mixture
from flow3r.data.pool import ClipSource, Pool
from flow3r.data.store import ClipStore
from flow3r.data.subset import nested_subset
from flow3r.data.video_clips import VideoClips


def source_pool(data: dict[str, Any], output_dir: Path) -> Pool:
    """Every labelled source clip of a resolved `data` mapping."""
    return Pool.whole(_stores(data, "source", output_dir))


def labelled_pool(data: dict[str, Any], output_dir: Path) -> Pool:
    """The nested subset of the labelled target clips: of every store in proportion to its size."""
    return Pool.nested_union(
        _stores(data, "labelled", output_dir), data["labelled_clips"], "labelled"
    )


def unlabelled_pool(data: dict[str, Any], output_dir: Path, store: Path) -> Pool:
    """The unlabelled clips of a resolved `data` mapping; `store` holds those of videos.

    Of videos, the stage holds as many clips as the run asks for, nested by their names.
    """
    sources: list[ClipSource] = []
    chosen = []
    for source in sources_of(data):
        folder = output_dir / "stages" / source_stages(source)[-1].id / "clips"
        if source.videos:
            sources.append(VideoClips.open(folder, store))
            chosen.append(np.arange(len(sources[-1])))
        else:
            sources.append(ClipStore.open(folder))
            chosen.append(nested_subset(len(sources[-1]), source.clips, "unlabelled"))
    return Pool(sources, chosen)


def pool_sizes(
    recorded: RecordedSets | None,
    pools: dict[str, Pool],
    unlabelled_weights: tuple[float, ...] | None = None,
) -> dict[str, int | Mixture]:
    """The number of clips of each pool; a mixture where its sources are drawn by weight."""
    sizes: dict[str, int | Mixture] = {name: len(pool) for name, pool in pools.items()}
    if unlabelled_weights:
        sizes["unlabelled"] = Mixture(pools["unlabelled"].counts, unlabelled_weights)
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
