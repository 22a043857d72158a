"""Clips of a manifest with a teacher's labels, made into the shared store and found there again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow3r.config import require
from flow3r.data.frame_store import FrameCodec, frame_store, frames_key, pack_frames
from flow3r.data.pairs import ordered_pairs
from flow3r.data.video.decode import clip_frames
from flow3r.data.video.frames import enlargement, fit
from flow3r.data.video.manifest import ManifestClip
from flow3r.teachers.base import FlowLabels, Teacher
from flow3r.teachers.consistency import reduce_flow
from flow3r.teachers.label_store import LabelIdentity, label_store, pack_labels

Size = tuple[int, int]
Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelSettings:
    """What is made of every clip of a manifest, apart from the teacher."""

    size: Size = (64, 64)
    """(height, width) of frames and labels."""
    short_side: int = 192
    """The teacher works at the smallest multiple of `size` with at least this short side, as far
    as the video has the pixels: flow on larger images, reduced afterwards, is markedly better."""
    max_gap: int | None = None
    """Pairs at most this many of the clip's frames apart; None: all ordered pairs."""
    frames: FrameCodec = field(default_factory=FrameCodec)

    def __post_init__(self) -> None:
        require(min(self.size) >= 16, f"size={self.size}: both sides must be >= 16")
        require(self.short_side >= 1, f"short_side={self.short_side}: must be >= 1")
        gap = self.max_gap
        require(gap is None or gap >= 1, f"max_gap={gap}: must be >= 1 or null")

    def pairs(self, frames: int) -> Tensor:  # [P, 2]
        """The labelled pairs of a clip of so many frames."""
        pairs = ordered_pairs(frames)
        near = (pairs[:, 0] - pairs[:, 1]).abs() <= (self.max_gap or frames)
        return pairs[near]

    def working_size(self, clip: ManifestClip) -> Size:
        """The size of the frames that the teacher sees; DataError for videos below `size`."""
        factor = enlargement((clip.height, clip.width), self.size, 1.0, self.short_side)
        return factor * self.size[0], factor * self.size[1]


class ClipStores:
    """The two record stores below one folder."""

    def __init__(self, folder: Path):
        """Makes the folder if need be; DataError where it cannot."""
        self.frames, self.labels = frame_store(folder), label_store(folder)

    def has(self, keys: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether everything of each clip is there. keys: `ClipMaker.keys` of M, [M, 1 + P, 32]."""
        flat = keys[:, 1:].reshape(-1, keys.shape[-1])
        labels = self.labels.has(flat).reshape(len(keys), -1).all(axis=1)
        return self.frames.has(keys[:, 0]) & labels

    def flush(self) -> None:
        """Make sure that what was written outlives a power failure."""
        self.frames.flush()
        self.labels.flush()


class ClipMaker:
    """Makes what a store lacks of a clip: its frames and the labels of its pairs."""

    def __init__(self, settings: LabelSettings, teacher: Teacher, stores: ClipStores):
        self.settings, self.teacher, self.stores = settings, teacher, stores
        self._identities: dict[Size, LabelIdentity] = {}

    def keys(self, clip: ManifestClip) -> NDArray[np.uint8]:  # [1 + P, 32]
        """The keys of the clip's frames and, after it, of its labels. DataError as `make`."""
        working_size = self.settings.working_size(clip)
        numbers, own = clip.frame_numbers, clip.clip_positions
        identity = self._identity(working_size)
        keys = [
            frames_key(
                clip.fingerprint,
                [numbers[i] for i in own],
                working_size,
                self.settings.size,
                self.settings.frames,
            )
        ]
        for source, target in _listed(self.settings, len(own)):
            seen = _between(numbers, own[source], own[target])
            keys.append(identity.key(clip.fingerprint, seen))
        return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32)

    def make(self, clip: ManifestClip) -> int:
        """Decode, label and store what is not there yet; the number of new records.

        Raises DataError, naming the file, for clips that cannot be decoded or labelled.
        """
        keys = self.keys(clip)
        lacking = np.flatnonzero(~self.stores.labels.has(keys[1:]))
        frames_lack = not self.stores.frames.has(keys[:1])[0]
        if not frames_lack and not len(lacking):
            return 0
        full = clip_frames(clip, self.settings.working_size(clip))
        new = 0
        if frames_lack:
            payload = pack_frames(self._own_frames(full, clip), self.settings.frames)
            new += self.stores.frames.put([(keys[0].tobytes(), payload)])
        if len(lacking):
            payloads = pack_labels(self._label(full, clip, lacking))
            found = [(keys[1 + i].tobytes(), p) for i, p in zip(lacking, payloads)]
            new += self.stores.labels.put(found)
        return new

    def _identity(self, working_size: Size) -> LabelIdentity:
        if working_size not in self._identities:
            found = LabelIdentity(self.teacher, working_size, self.settings.size)
            self._identities[working_size] = found
        return self._identities[working_size]

    def _own_frames(self, full: Frames, clip: ManifestClip) -> Frames:
        return np.stack([fit(full[i], self.settings.size, 1.0) for i in clip.clip_positions])

    def _label(self, full: Frames, clip: ManifestClip, rows: NDArray[np.int64]) -> FlowLabels:
        """The labels of some of the clip's pairs, at the clips' size."""
        own = torch.tensor(clip.clip_positions)
        pairs = own[self.settings.pairs(len(own))[torch.from_numpy(rows)]]
        labels = self.teacher.label(torch.from_numpy(full).permute(0, 3, 1, 2), pairs)
        return FlowLabels(*reduce_flow(labels.target_px, labels.covisibility, self.settings.size))


@cache
def _listed(settings: LabelSettings, frames: int) -> tuple[tuple[int, int], ...]:
    return tuple((a, b) for a, b in settings.pairs(frames).tolist())


def _between(numbers: tuple[int, ...], source: int, target: int) -> tuple[int, ...]:
    """Frame numbers from one position to another, both included."""
    if source <= target:
        return numbers[source : target + 1]
    return numbers[target : source + 1][::-1]
