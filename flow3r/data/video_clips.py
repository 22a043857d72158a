"""Unlabelled clips out of the shared store, by number, as training reads them.

A stage's folder says which clips there are: `clips.json` (sizes, pairs, fingerprint, what was left
out), `keys.npy` (the keys of each clip's frames and labels) and `names.npy` (their names). The
records themselves lie in the store, which many stages share.
"""

from __future__ import annotations

import hashlib
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow3r.data.clip import LabelledClips, PairFlow, UnlabelledClips
from flow3r.data.frame_store import unpack_frames
from flow3r.data.pseudo_labels import ClipStores
from flow3r.data.store import StoreLayout
from flow3r.errors import DataError
from flow3r.files import read_json, write_atomically, write_json
from flow3r.geometry.camera import pixel_grid
from flow3r.storage.records import DamagedRecordError, MissingRecordError
from flow3r.storage.store import RecordStore
from flow3r.teachers.label_store import mean_covisibility, unpack_label

SCHEMA = 1
RECORD, KEYS, NAMES = "clips.json", "keys.npy", "names.npy"
Indices = NDArray[np.int64]
_REMEDY = "make them again with: python experiments/label.py spec={}/spec.json verify=true"


class VideoClips:
    """Read access to the clips that a stage has made."""

    def __init__(self, folder: Path, store: Path, record: dict[str, Any]):
        self.path, self._record, self._stores = folder, record, ClipStores(store)
        self.fingerprint: str = record["fingerprint"]
        self.provenance: dict[str, Any] = record["provenance"]
        self.layout = StoreLayout(
            record["frames"],
            record["height"],
            record["width"],
            tuple((a, b) for a, b in record["pairs"]),
            labelled=False,
        )
        self._store = store
        self._pairs = torch.tensor(self.layout.pairs, dtype=torch.int64)
        self._grid = pixel_grid(self.layout.height, self.layout.width)
        self._keys = np.load(folder / KEYS, mmap_mode="r", allow_pickle=False)  # [M, 1 + P, 32]
        self._names = np.load(folder / NAMES, mmap_mode="r", allow_pickle=False)  # [M] UTF-8

    def __reduce__(self) -> tuple:
        """Pickled by its place: another process opens the files itself."""
        return VideoClips, (self.path, self._store, self._record)

    @classmethod
    def open(cls, folder: Path, store: Path) -> VideoClips:
        """The clips of a finished stage; DataError if it is unfinished or the store lacks some."""
        if not (folder / RECORD).exists():
            raise DataError(f"no finished video clips at {folder} ({RECORD} is missing)")
        clips = cls(folder, store, read_json(folder / RECORD))
        lacking = int((~clips._stores.has(clips._keys)).sum())
        if lacking:
            raise DataError(
                f"the store {store} lacks frames or labels of {lacking} of {len(clips)} clips of "
                f"{folder}; {_REMEDY.format(folder.parent)}"
            )
        return clips

    def __len__(self) -> int:
        return self._record["count"]

    @cached_property
    def names(self) -> list[str]:
        """Of all clips: `<video>/<number of the first frame>`."""
        return [name.decode() for name in self._names.tolist()]

    def clip_name(self, index: int) -> str:
        """What a message calls the clip."""
        return f"clip {self._names[index].decode()} of {self.path}"

    def unlabelled(self, indices: Indices, chosen: Indices | None = None) -> UnlabelledClips:
        """Frames and the teacher's flow. Raises DataError naming a damaged record.

        chosen: [B, P], only these pairs of each clip are read, by their numbers in the layout.
        """
        if chosen is None:
            chosen = np.tile(np.arange(len(self.layout.pairs)), (len(indices), 1))
            pairs = self._pairs
        else:
            pairs = self._pairs[torch.from_numpy(chosen)]
        size = (self.layout.height, self.layout.width)
        images = np.empty((len(indices), self.layout.frames, *size, 3), np.uint8)
        displacement = np.empty((*chosen.shape, *size, 2), np.float32)
        covisibility = np.empty((*chosen.shape, *size), np.uint8)
        for row, index in enumerate(indices):
            images[row] = unpack_frames(self._get(self._stores.frames, index, 0))
            for place, pair in enumerate(chosen[row]):
                label = unpack_label(self._get(self._stores.labels, index, 1 + pair))
                displacement[row, place], covisibility[row, place] = label
        return UnlabelledClips(
            images=_unit(torch.from_numpy(images).permute(0, 1, 4, 2, 3).contiguous()),
            flow=PairFlow(
                pairs=pairs,
                target_px=torch.from_numpy(displacement) + self._grid,
                covisibility=_unit(torch.from_numpy(covisibility)),
            ),
        )

    def pair_covisibility(self, indices: Indices) -> NDArray[np.float64]:  # [B, Q]
        """The mean covisibility of every pair of the layout."""
        columns = range(1, 1 + len(self.layout.pairs))
        return np.array(
            [
                [mean_covisibility(self._get(self._stores.labels, i, c)) for c in columns]
                for i in indices
            ]
        ).reshape(len(indices), len(columns))

    def labelled(self, indices: Indices, chosen: Indices | None = None) -> LabelledClips:
        """Raises DataError: video has no labels."""
        raise DataError(f"{self.path} holds unlabelled clips; it cannot serve labelled ones")

    def calibrated(self, indices: Indices, chosen: Indices | None = None) -> UnlabelledClips:
        """Raises DataError: video has no calibration."""
        raise DataError(f"{self.path} has no intrinsics; use intrinsics=recovered")

    def _get(self, store: RecordStore, index: int, column: int) -> bytes:
        """A record of a clip; `column` of its keys."""
        try:
            return store.get(self._keys[index, column].tobytes())
        except (DamagedRecordError, MissingRecordError) as error:
            remedy = _REMEDY.format(self.path.parent)
            raise DataError(f"{self.clip_name(index)}: {error}; {remedy}") from None


def write_video_clips(
    folder: Path,
    layout: StoreLayout,
    keys: NDArray[np.uint8],
    names: list[str],
    stores: ClipStores,
    provenance: dict[str, Any],
) -> str:
    """Record which clips there are, in their order; the fingerprint of all their content.

    keys: [M, 1 + P, 32], of records that the store holds. names: of the clips.
    """
    write_atomically(folder / KEYS, partial(_save, keys))
    write_atomically(folder / NAMES, partial(_save, np.array([n.encode() for n in names])))
    fingerprint = _fingerprint(layout, keys, stores)
    write_json(
        folder / RECORD,
        {
            "schema": SCHEMA,
            "count": len(keys),
            "frames": layout.frames,
            "height": layout.height,
            "width": layout.width,
            "pairs": [list(pair) for pair in layout.pairs],
            "fingerprint": fingerprint,
            "provenance": provenance,
        },
    )
    return fingerprint


def _save(array: np.ndarray, path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def _fingerprint(layout: StoreLayout, keys: NDArray[np.uint8], stores: ClipStores) -> str:
    """Over the checksums of all records, so that labels of another OpenCV show."""
    digest = hashlib.sha256(repr(layout).encode())
    digest.update(stores.frames.digests(keys[:, 0]).tobytes())
    for pair in range(1, keys.shape[1]):
        digest.update(stores.labels.digests(keys[:, pair]).tobytes())
    return digest.hexdigest()[:16]


def _unit(values: Tensor) -> Tensor:
    return values.float() / 255
