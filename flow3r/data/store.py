"""A folder of clips as memory-mapped arrays: written once by a stage, read by many runs.

Layout: `manifest.json` (sizes, pairs, provenance, fingerprint) and one `.npy` file per field.
Images are uint8. Flow is stored as the displacement in float16 (exact to 1/64 px up to 32 px,
1/32 px up to 64 px), covisibility as uint8 in steps of 1/255.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flow3r.data.clip import EvaluationClips, LabelledClips, PairFlow, UnlabelledClips
from flow3r.errors import DataError
from flow3r.files import naming, read_json, write_json

MANIFEST = "manifest.json"
COMMON_FIELDS = ("images", "displacement", "covisibility")
LABEL_FIELDS = ("depth", "intrinsics", "world_from_camera", "moving")


@dataclass(frozen=True)
class StoreLayout:
    """The sizes that all clips of a store share."""

    frames: int
    height: int
    width: int
    pairs: tuple[tuple[int, int], ...]  # ordered (source, target)
    labelled: bool

    def arrays(self, count: int) -> dict[str, tuple[tuple[int, ...], type]]:
        """Shape and dtype of every array of a store of `count` clips."""
        n, h, w, p = self.frames, self.height, self.width, len(self.pairs)
        arrays: dict[str, tuple[tuple[int, ...], type]] = {
            "images": ((count, n, 3, h, w), np.uint8),
            "displacement": ((count, p, h, w, 2), np.float16),
            "covisibility": ((count, p, h, w), np.uint8),
        }
        if self.labelled:
            arrays |= {
                "depth": ((count, n, h, w), np.float32),
                "intrinsics": ((count, n, 3, 3), np.float32),
                "world_from_camera": ((count, n, 4, 4), np.float32),
                "moving": ((count, n, h, w), np.bool_),
            }
        return arrays


def is_finished(path: Path) -> bool:
    """Whether a clip store at `path` was written to its end."""
    return (path / MANIFEST).exists()


class ClipStoreWriter:
    """Fills a new store clip by clip; the store exists only after `finish`."""

    def __init__(self, path: Path, count: int, layout: StoreLayout):
        if is_finished(path):
            raise DataError(f"{path} already holds a finished clip store; it is never overwritten")
        path.mkdir(parents=True, exist_ok=True)
        self.path, self.count, self.layout = path, count, layout
        self._arrays = {
            name: _new_array(path / f"{name}.npy", shape, dtype)
            for name, (shape, dtype) in layout.arrays(count).items()
        }
        self._grid = _pixel_grid(layout.height, layout.width)

    def write(
        self,
        index: int,
        images: Tensor,  # [N, 3, H, W], uint8 or float in [0, 1]
        target_px: Tensor,  # [P, H, W, 2]
        covisibility: Tensor,  # [P, H, W]
        labels: dict[str, Tensor] | None = None,  # LABEL_FIELDS of the clip
    ) -> None:
        """Write one clip. Raises DataError when a shape or the set of labels does not fit."""
        if images.dtype != torch.uint8:
            images = (images.clamp(0, 1) * 255).round().to(torch.uint8)
        displacement = target_px.cpu() - self._grid
        # Far outside the image the exact place does not matter, only that float16 can hold it.
        values = {
            "images": images,
            "displacement": displacement.nan_to_num(0.0).clamp(-6e4, 6e4),
            "covisibility": (covisibility.float().clamp(0, 1) * 255).round(),
            **(labels or {}),
        }
        if set(values) != set(self._arrays):
            raise DataError(f"clip {index}: has {sorted(values)}, needs {sorted(self._arrays)}")
        for name, value in values.items():
            array = self._arrays[name]
            if tuple(value.shape) != array.shape[1:]:
                raise DataError(
                    f"clip {index}: {name} has shape {tuple(value.shape)}, needs {array.shape[1:]}"
                )
            array[index] = value.cpu().numpy()

    def finish(self, provenance: dict[str, Any]) -> str:
        """Flush, fingerprint and publish the store; returns the fingerprint."""
        for array in self._arrays.values():
            array.flush()
        fingerprint = _fingerprint(self._arrays)
        write_json(
            self.path / MANIFEST,
            {
                "schema": 1,
                "count": self.count,
                "frames": self.layout.frames,
                "height": self.layout.height,
                "width": self.layout.width,
                "pairs": [list(p) for p in self.layout.pairs],
                "labelled": self.layout.labelled,
                "fingerprint": fingerprint,
                "provenance": provenance,
            },
        )
        return fingerprint


class ClipStore:
    """Read access to a finished store. Reading unlabelled clips cannot touch a label."""

    def __init__(self, path: Path, manifest: dict[str, Any]):
        self.path, self._manifest = path, manifest
        self.fingerprint: str = manifest["fingerprint"]
        self.provenance: dict[str, Any] = manifest["provenance"]
        self.layout = StoreLayout(
            manifest["frames"],
            manifest["height"],
            manifest["width"],
            tuple((a, b) for a, b in manifest["pairs"]),
            manifest["labelled"],
        )
        self._pairs = torch.tensor(self.layout.pairs, dtype=torch.int64)
        self._grid = _pixel_grid(self.layout.height, self.layout.width)
        self._arrays: dict[str, np.ndarray] = {}

    @classmethod
    def open(cls, path: Path) -> ClipStore:
        """Open a store; DataError if it is missing, unfinished or damaged."""
        if not is_finished(path):
            raise DataError(f"no finished clip store at {path} ({MANIFEST} is missing)")
        store = cls(path, read_json(path / MANIFEST))
        for name, (shape, dtype) in store.layout.arrays(len(store)).items():
            store._arrays[name] = _open_array(path / f"{name}.npy", shape, dtype)
        return store

    def __len__(self) -> int:
        return self._manifest["count"]

    def __reduce__(self) -> tuple:
        """Pickled by its path: another process maps the files itself."""
        return ClipStore.open, (self.path,)

    def labelled(self, indices: np.ndarray, chosen: np.ndarray | None = None) -> LabelledClips:
        """The clips with their labels; DataError if the store has none.

        `chosen` [B, P]: only these pairs of each clip are read, by their numbers in the layout.
        """
        if not self.layout.labelled:
            raise DataError(f"{self.path} holds unlabelled clips; it cannot serve labelled ones")
        return LabelledClips(
            images=self._images(indices),
            depth=self._tensor("depth", indices),
            intrinsics=self._tensor("intrinsics", indices),
            world_from_camera=self._tensor("world_from_camera", indices),
            flow=self._flow(indices, chosen),
        )

    def unlabelled(self, indices: np.ndarray, chosen: np.ndarray | None = None) -> UnlabelledClips:
        """Images and teacher flow only, whatever else the store knows."""
        return UnlabelledClips(images=self._images(indices), flow=self._flow(indices, chosen))

    def calibrated(self, indices: np.ndarray, chosen: np.ndarray | None = None) -> UnlabelledClips:
        """As `unlabelled`, with intrinsics; DataError where the store has none (video)."""
        if not self.layout.labelled:
            raise DataError(f"{self.path} has no intrinsics; use intrinsics=recovered")
        return UnlabelledClips(
            images=self._images(indices),
            flow=self._flow(indices, chosen),
            intrinsics=self._tensor("intrinsics", indices),
        )

    def pair_covisibility(self, indices: np.ndarray) -> np.ndarray:  # [B, Q] float64
        """The mean covisibility of every pair of the layout."""
        return self._arrays["covisibility"][indices].mean((2, 3), dtype=np.float64) / 255

    def clip_name(self, index: int) -> str:
        """What a message calls the clip."""
        return f"clip {index} of {self.path}"

    def evaluation(self, indices: np.ndarray, benchmark: str) -> EvaluationClips:
        """Labelled clips with the masks of the metrics and names `<benchmark>/<index>`."""
        return EvaluationClips(
            labelled=self.labelled(indices),
            moving=self._tensor("moving", indices),
            scenes=tuple(f"{benchmark}/{i:06d}" for i in indices),
        )

    def verify(self) -> None:
        """Recompute the fingerprint; DataError if a byte of the store has changed."""
        actual = _fingerprint(self._arrays)
        if actual != self.fingerprint:
            raise DataError(f"{self.path}: fingerprint {actual} differs from {self.fingerprint}")

    def _tensor(self, name: str, indices: np.ndarray | tuple[np.ndarray, ...]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._arrays[name][indices]))

    def _images(self, indices: np.ndarray) -> Tensor:
        return self._tensor("images", indices).float() / 255

    def _flow(self, indices: np.ndarray, chosen: np.ndarray | None) -> PairFlow:
        here = indices if chosen is None else (indices[:, None], chosen)
        return PairFlow(
            pairs=self._pairs if chosen is None else self._pairs[torch.from_numpy(chosen)],
            target_px=self._tensor("displacement", here).float() + self._grid,
            covisibility=self._tensor("covisibility", here).float() / 255,
        )


def _pixel_grid(height: int, width: int) -> Tensor:  # [H, W, 2]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], -1).float()


def _new_array(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    """An array in a new file. Raises OSError where the disk has no room for all of it."""
    with naming(path):
        array = np.lib.format.open_memmap(path, "w+", dtype=dtype, shape=shape)
        # Filling a sparse file through its map, a process learns of a full disk by SIGBUS.
        if hasattr(os, "posix_fallocate"):
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _open_array(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if array.shape != shape or array.dtype != dtype:
        raise DataError(
            f"{path} has {array.dtype}{array.shape}, the manifest says {np.dtype(dtype)}{shape}"
        )
    return array


def _fingerprint(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        for start in range(0, len(arrays[name]), 256):
            digest.update(np.ascontiguousarray(arrays[name][start : start + 256]).tobytes())
    return digest.hexdigest()[:16]
