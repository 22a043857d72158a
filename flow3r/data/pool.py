"""A pool: a fixed choice of clips out of one or more sources, addressed by position."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from flow3r.data.clip import ClipsT, LabelledClips, UnlabelledClips, clips_at, concatenate
from flow3r.data.store import StoreLayout
from flow3r.data.subset import named_share, named_subset, nested_counts, nested_subset
from flow3r.errors import ConfigError, DataError

Chosen = NDArray[np.int64] | None  # [B, P]
"""Which of the layout's pairs are read of every clip, in rising order; None: all of them."""


class ClipSource(Protocol):
    """Where clips come from: a store of generated or recorded clips, or labelled videos.

    Sources are pickled when other processes load clips: they open their files again there.
    """

    layout: StoreLayout
    fingerprint: str

    def __len__(self) -> int: ...

    def unlabelled(self, indices: NDArray[np.int64], chosen: Chosen = None) -> UnlabelledClips:
        """Images and a teacher's flow."""

    def pair_covisibility(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:  # [B, Q]
        """The mean covisibility of all Q pairs of the layout."""

    def clip_name(self, index: int) -> str:
        """What a message calls the clip."""


class Pool:
    """Clips of several sources of one layout, in a fixed order."""

    def __init__(self, stores: Sequence[ClipSource], chosen: Sequence[NDArray[np.int64]]):
        """`chosen[i]`: indices into `stores[i]`. DataError if the layouts differ."""
        layouts = [
            (s.layout.frames, s.layout.height, s.layout.width, s.layout.pairs) for s in stores
        ]
        if len(set(layouts)) > 1:
            raise DataError(f"stores of different layout cannot form a pool: {layouts}")
        self.stores = list(stores)
        self.counts = tuple(len(c) for c in chosen)
        self._store = np.repeat(np.arange(len(chosen), dtype=np.int64), self.counts)
        self._index = np.concatenate([*chosen, _EMPTY])

    @classmethod
    def whole(cls, stores: Sequence[ClipSource]) -> Pool:
        """Every clip of every store."""
        return cls(stores, [np.arange(len(s), dtype=np.int64) for s in stores])

    @classmethod
    def nested(cls, store: ClipSource, count: int, salt: str) -> Pool:
        """The nested subset of `count` clips of one store."""
        return cls.nested_union([store], count, salt)

    @classmethod
    def nested_union(cls, stores: Sequence[ClipSource], count: int, salt: str) -> Pool:
        """`count` clips of several sources in proportion to their sizes, nested in each of them."""
        counts = nested_counts(count, [len(s) for s in stores])
        return cls(stores, [_subset(s, c, salt) for s, c in zip(stores, counts, strict=True)])

    @classmethod
    def shares(cls, stores: Sequence[ClipSource], share: float, salt: str) -> Pool:
        """The clips of every source that belong to this share by their names, now and for ever.

        Raises ConfigError for a source whose clips have no names, or when no clip belongs to it.
        """
        pool = cls(stores, [named_share(_names(s), share, salt) for s in stores])
        if not len(pool):
            clips = sum(map(len, stores))
            raise ConfigError(f"a share of {share} of {clips} clips ({salt}) has no clip")
        return pool

    def __len__(self) -> int:
        return len(self._index)

    @property
    def pairs(self) -> NDArray[np.int64]:  # [Q, 2]
        """The labelled pairs of every clip."""
        return np.array(self.stores[0].layout.pairs, dtype=np.int64).reshape(-1, 2)

    def labelled(self, positions: NDArray[np.int64], chosen: Chosen = None) -> LabelledClips:
        """Labelled clips in the order of `positions`, which may name several stores, or nothing."""
        return self._read(lambda store: store.labelled, positions, chosen)

    def unlabelled(self, positions: NDArray[np.int64], chosen: Chosen = None) -> UnlabelledClips:
        """Images and flow only, likewise."""
        return self._read(lambda store: store.unlabelled, positions, chosen)

    def calibrated(self, positions: NDArray[np.int64], chosen: Chosen = None) -> UnlabelledClips:
        """Images, flow and intrinsics, for formulations that are given them."""
        return self._read(lambda store: store.calibrated, positions, chosen)

    def pair_covisibility(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:  # [B, Q]
        """The mean covisibility of all labelled pairs of these clips."""
        covisibility = np.empty((len(positions), len(self.pairs)))
        for store, here in self._groups(positions):
            covisibility[here] = store.pair_covisibility(self._index[positions[here]])
        return covisibility

    def clip_name(self, position: int) -> str:
        """What a message calls the clip."""
        return self.stores[self._store[position]].clip_name(int(self._index[position]))

    def _read(
        self,
        reader: Callable[[ClipSource], Callable[..., ClipsT]],
        positions: NDArray[np.int64],
        chosen: Chosen,
    ) -> ClipsT:
        if not len(positions):
            return reader(self.stores[0])(_EMPTY, chosen)
        groups = list(self._groups(positions))
        parts = [
            reader(store)(self._index[positions[here]], None if chosen is None else chosen[here])
            for store, here in groups
        ]
        if len(groups) == 1:
            return parts[0]
        order = np.argsort(np.concatenate([here for _, here in groups]))
        return clips_at(concatenate(parts), torch.from_numpy(order))

    def _groups(
        self, positions: NDArray[np.int64]
    ) -> Iterator[tuple[ClipSource, NDArray[np.int64]]]:
        """Every source that is named, and the places of its clips in `positions`."""
        stores = self._store[positions]
        for number in np.unique(stores):
            yield self.stores[number], np.flatnonzero(stores == number)


_EMPTY = np.empty(0, dtype=np.int64)


def _names(store: ClipSource) -> Sequence[str]:
    names = getattr(store, "names", None)
    if names is None:
        raise ConfigError(
            "data.unlabelled_share chooses by the names of clips, and generated clips have none; "
            "give a number of clips: data.unlabelled_clips"
        )
    return names


def _subset(store: ClipSource, count: int, salt: str) -> NDArray[np.int64]:
    """By name where the clips have names, else by number."""
    names = getattr(store, "names", None)
    if names is None:
        return nested_subset(len(store), count, salt)
    return named_subset(names, count, salt)
