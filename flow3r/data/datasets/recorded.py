"""What the datasets share: the description of a layout, and the lists of scenes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow3r.config import require_choice, to_mapping
from flow3r.data.scenes import Scene, files_fingerprint
from flow3r.errors import DataError


@dataclass(frozen=True)
class Layout:
    """What a module expects of a download, in words: its row of docs/datasets.md."""

    name: str
    """As in the registry."""
    files: str
    """Below the folder that is given as the path; also in the message about a wrong folder."""
    depth: str
    """Unit, encoding, invalid values."""
    poses: str
    """Direction and axes in the files."""
    splits: str
    motion: str
    """'static', 'dynamic', or what decides."""


@dataclass(frozen=True)
class RecordedDataset:
    """A download whose scenes are listed when it is opened and read when they are asked for."""

    layout: Layout
    path: Path
    settings: Any
    lists: Mapping[str, tuple[str, ...]]
    """Split -> names of its scenes, in the dataset's order."""
    read_scene: Callable[[str], Scene]
    tables: tuple[Path, ...] = ()
    """Annotations that name every file of a large download: they stand for it in the fingerprint,
    which would have to read every scene otherwise."""

    def __post_init__(self) -> None:
        if not any(self.lists.values()):
            raise DataError(
                f"{self.path}: no scene of dataset {self.name}; looked for {self.layout.files}"
            )

    @property
    def name(self) -> str:
        return self.layout.name

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.lists)

    def scenes(self, split: str) -> list[str]:
        """Names of the scenes of a split. ConfigError: unknown split."""
        require_choice(f"split of {self.name}", split, self.lists)
        return list(self.lists[split])

    def scene(self, name: str) -> Scene:
        """One scene. Raises DataError for an unknown one and where its layout is damaged."""
        known = [scene for scenes in self.lists.values() for scene in scenes]
        if name not in known:
            raise DataError(
                f"{self.path}: dataset {self.name} has no scene {name!r}; "
                f"it has {len(set(known))}, e.g. {known[:3]}"
            )
        return self.read_scene(name)

    def fingerprint(self) -> str:
        """16 hex digits over names and sizes of every frame's files, and the settings.

        Files that several frames share (trajectories, calibrations) count with their content. A
        scene that cannot be read counts as missing: not everybody downloads all of them.
        """
        shared, files = set(self.tables), list(self.tables)
        scenes = dict.fromkeys(scene for listed in self.lists.values() for scene in listed)
        for scene in () if self.tables else scenes:
            times = Counter(self._files(scene))
            shared |= {file for file, count in times.items() if count > 1}
            files += times
        return files_fingerprint(
            self.path, files, to_mapping(self.settings) | {"content": _contents(shared)}
        )

    def _files(self, scene: str) -> list[Path]:
        try:
            return [file for frame in self.read_scene(scene).frames for file in frame.files]
        except DataError:
            return [self.path / scene]


def _contents(files: Iterable[Path]) -> str:
    """One checksum of what stands in the files that are there."""
    total = hashlib.sha256()
    for file in sorted(files):
        if file.is_file():
            with file.open("rb") as content:
                total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()
