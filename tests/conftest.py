"""Shared test settings: one torch thread per worker process, no network, repeatable."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch

from flow3r.data.pairs import ordered_pairs
from flow3r.data.store import ClipStore, ClipStoreWriter, StoreLayout

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def make_store(tmp_path):
    """A function: name, number of clips, seed -> a finished store with random content."""

    def make(name: str, count: int, seed: int = 0, frames: int = 2, labelled: bool = True):
        generator = torch.Generator().manual_seed(seed)
        pairs = ordered_pairs(frames)
        layout = StoreLayout(frames, 16, 24, tuple(map(tuple, pairs.tolist())), labelled)
        writer = ClipStoreWriter(tmp_path / name, count, layout)
        for index in range(count):
            images = torch.rand(frames, 3, 16, 24, generator=generator)
            target = torch.rand(len(pairs), 16, 24, 2, generator=generator) * 16
            covisibility = torch.rand(len(pairs), 16, 24, generator=generator)
            labels = {
                "depth": torch.rand(frames, 16, 24, generator=generator) + 1,
                "intrinsics": torch.eye(3).repeat(frames, 1, 1),
                "world_from_camera": torch.eye(4).repeat(frames, 1, 1),
                "moving": torch.rand(frames, 16, 24, generator=generator) > 0.5,
            }
            writer.write(index, images, target, covisibility, labels if labelled else None)
        writer.finish({"made": "for a test"})
        return ClipStore.open(tmp_path / name)

    return make
