"""What there is to label, for every process that takes part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow3r.config import from_mapping
from flow3r.data.pseudo_labels import ClipMaker, ClipStores, LabelSettings
from flow3r.data.subset import named_share, named_subset
from flow3r.data.video.manifest import Manifest, ManifestClip, read_manifest
from flow3r.errors import ConfigError, DataError
from flow3r.storage.records import KEY_BYTES, StoreError
from flow3r.teachers.registry import make_teacher

SALT = "unlabelled"
FEW = 8
"""One row at a time is read where less than one of so many is wanted."""


@dataclass(frozen=True)
class Result:
    """What became of one clip."""

    row: int  # of the manifest
    new: int = 0  # records
    reason: str | None = None  # why it could not be labelled


@dataclass(frozen=True)
class LabelJob:
    """Plain values: they are handed to other processes."""

    manifest_path: Path
    labels: dict[str, Any]
    """LabelSettings."""
    teacher: dict[str, Any]
    """Name and settings."""
    store: Path

    @cached_property
    def manifest(self) -> Manifest:
        """The clips."""
        return read_manifest(self.manifest_path)

    @cached_property
    def settings(self) -> LabelSettings:
        """What is made of each."""
        return from_mapping(LabelSettings, self.labels, "labels")

    @cached_property
    def stores(self) -> ClipStores:
        """Where it goes."""
        return ClipStores(self.store)

    def __getstate__(self) -> dict[str, Any]:
        # Without what the process at hand has opened.
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def maker(self, device: str = "cpu") -> ClipMaker:
        """What makes labels here; learned teachers run on the device."""
        teacher = make_teacher(self.teacher["name"], self.teacher["settings"], device)
        return ClipMaker(self.settings, teacher, self.stores)

    @staticmethod
    def attempt(maker: ClipMaker, row: int, clip: ManifestClip) -> Result:
        """Make one clip's labels; what is wrong with the clip becomes a reason.

        Raises ConfigError or StoreError for what is wrong with every clip.
        """
        try:
            return Result(row, maker.make(clip))
        except (ConfigError, StoreError):
            raise
        except DataError as error:
            return Result(row, reason=str(error).removeprefix(f"{clip.path}: "))
        except Exception as error:  # a decoder or a network that this clip upsets
            return Result(row, reason=f"{type(error).__name__}: {error}")

    def keys(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], dict[int, str]]:
        """Keys [M, 1 + P, 32] of the clips of those rows, zero where there can be none, and why."""
        maker = self.maker()
        keys = np.zeros((len(rows), 1 + len(self.pairs), KEY_BYTES), np.uint8)
        failed: dict[int, str] = {}
        for place, clip in self._clips(rows):
            try:
                keys[place] = maker.keys(clip)
            except DataError as error:
                failed[int(rows[place])] = str(error)
        return keys, failed

    def order(self, share: float | None = None) -> NDArray[np.int64]:
        """All rows in the one order that every count of clips is taken from; the names decide.

        share: only the first ones, those that belong to this share of all names that there can be.
        DataError if none does.
        """
        names = self.manifest.column("name")
        if share is None:
            return named_subset(names, len(names), SALT)
        rows = named_share(names, share, SALT)
        if not len(rows):
            raise DataError(f"{self.manifest_path}: a share of {share} of its clips has none")
        return rows

    def _clips(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, ManifestClip]]:
        """The clips of those rows, and their places in `rows`."""
        if len(rows) * FEW < len(self.manifest):
            yield from ((place, self.manifest.clip(int(row))) for place, row in enumerate(rows))
            return
        places = np.full(len(self.manifest), -1)
        places[rows] = np.arange(len(rows))
        for place, clip in zip(places.tolist(), self.manifest):
            if place >= 0:
                yield place, clip

    @cached_property
    def frames(self) -> int:
        """Frames of a clip; DataError for an empty manifest."""
        if not len(self.manifest):
            raise DataError(f"{self.manifest_path}: a manifest without clips")
        return len(self.manifest.clip(0).clip_positions)

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The labelled pairs of a clip's frames."""
        return [(a, b) for a, b in self.settings.pairs(self.frames).tolist()]


def label_here(
    job: LabelJob, rows: list[int], device: str, stop: Callable[[], bool]
) -> Iterator[Result]:
    """Label the rows one after another in this process, until told to stop."""
    maker = job.maker(device)
    for row in rows:
        if stop():
            return
        yield job.attempt(maker, row, job.manifest.clip(row))
