"""A pool: a fixed choice of clips out of one or more stores, addressed by position."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from flow3r.data.clip import LabelledClips, PairFlow, UnlabelledClips, concatenate
from flow3r.data.store import ClipStore
from flow3r.data.subset import nested_subset
from flow3r.errors import DataError


class Pool:
    """Clips of several stores of one layout, in a fixed order."""

    def __init__(self, stores: list[ClipStore], chosen: list[np.ndarray]):
        """`chosen[i]`: indices into `stores[i]`. DataError if the layouts differ."""
        layouts = [
            (s.layout.frames, s.layout.height, s.layout.width, s.layout.pairs) for s in stores
        ]
        if len(set(layouts)) > 1:
            raise DataError(f"stores of different layout cannot form a pool: {layouts}")
        self.stores = stores
        self._store = np.concatenate(
            [np.full(len(c), i, dtype=np.int64) for i, c in enumerate(chosen)] or [_EMPTY]
        )
        self._index = np.concatenate([*chosen, _EMPTY])

    @classmethod
    def whole(cls, stores: list[ClipStore]) -> Pool:
        """Every clip of every store."""
        return cls(stores, [np.arange(len(s), dtype=np.int64) for s in stores])

    @classmethod
    def nested(cls, store: ClipStore, count: int, salt: str) -> Pool:
        """The nested subset of `count` clips of one store."""
        return cls([store], [nested_subset(len(store), count, salt)])

    def __len__(self) -> int:
        return len(self._index)

    def labelled(self, positions: np.ndarray) -> LabelledClips:
        """Labelled clips in the order of `positions`, which may name several stores, or nothing."""
        if not len(positions):
            return self.stores[0].labelled(_EMPTY)
        groups = [
            self.stores[i].labelled(self._index[positions[self._store[positions] == i]])
            for i in np.unique(self._store[positions])
        ]
        return groups[0] if len(groups) == 1 else _reorder(groups, self._store[positions])

    def unlabelled(self, positions: np.ndarray) -> UnlabelledClips:
        """Images and flow only. Unlabelled pools come from one store."""
        return self._single(ClipStore.unlabelled, positions)

    def calibrated(self, positions: np.ndarray) -> UnlabelledClips:
        """Images, flow and intrinsics, for formulations that are given them."""
        return self._single(ClipStore.calibrated, positions)

    def _single(self, read: Callable, positions: np.ndarray) -> UnlabelledClips:
        if len(self.stores) != 1:
            raise DataError(f"an unlabelled pool needs exactly one store, got {len(self.stores)}")
        return read(self.stores[0], self._index[positions])


_EMPTY = np.empty(0, dtype=np.int64)


def _reorder(groups: list[LabelledClips], store_of_position: np.ndarray) -> LabelledClips:
    """Undo the grouping by store, so that clips stand in the order they were asked for."""
    joined = concatenate(groups)
    order = torch.from_numpy(np.argsort(np.argsort(store_of_position, kind="stable")))
    return LabelledClips(
        images=joined.images[order],
        depth=joined.depth[order],
        intrinsics=joined.intrinsics[order],
        world_from_camera=joined.world_from_camera[order],
        flow=PairFlow(
            joined.flow.pairs, joined.flow.target_px[order], joined.flow.covisibility[order]
        ),
    )
