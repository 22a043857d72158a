"""A store of random clips, and the loader of a training step over it."""

from __future__ import annotations

from pathlib import Path

import torch

from experiments.benchmarks import problem
from experiments.benchmarks.measure import say
from experiments.benchmarks.settings import Settings
from flow3r.data.mixing import BatchConfig, BatchPlan
from flow3r.data.pool import Pool
from flow3r.data.store import ClipStore, ClipStoreWriter, StoreLayout
from flow3r.training.batches import BatchLoader
from flow3r.training.config import AugmentationConfig

STORED = 64
"""Clips in the store; they are written once and then lie in the page cache."""


def stored_loader(settings: Settings, store: ClipStore) -> BatchLoader:
    """A quarter source clips, a quarter labelled target clips, half unlabelled ones."""
    flexible = settings.batch // 2
    replay = (settings.batch - flexible) // 2
    config = BatchConfig(replay, settings.batch - flexible - replay, flexible)
    pools = {name: Pool.whole([store]) for name in ("source", "labelled", "unlabelled")}
    plan = BatchPlan(config, 0, {name: len(pool) for name, pool in pools.items()})
    return BatchLoader(plan, pools, AugmentationConfig(), settings.device)


def write_store(settings: Settings, path: Path) -> ClipStore:
    """Random clips, written one by one."""
    say(f"{settings.case}: writing {STORED} clips")
    one = problem.clips(Settings(**{**vars(settings), "batch": 1, "device": "cpu"}))
    pairs = tuple((a, b) for a, b in one.flow.pairs.tolist())
    layout = StoreLayout(settings.frames, settings.size, settings.size, pairs, labelled=True)
    writer = ClipStoreWriter(path, STORED, layout)
    labels = {
        "depth": one.depth[0],
        "intrinsics": one.intrinsics[0],
        "world_from_camera": one.world_from_camera[0],
        "moving": torch.zeros_like(one.depth[0], dtype=torch.bool),
    }
    for index in range(STORED):
        flow = one.flow
        writer.write(index, one.images[0], flow.target_px[0], flow.covisibility[0], labels)
    writer.finish({"made": "for a benchmark"})
    return ClipStore.open(path)
