"""Recorded scenes as every dataset hands them over: frames whose files are read when asked.

Conventions (a dataset file converts to them at the door): camera axes x right, y down, z forward;
poses `world_from_camera`; depth is z along the optical axis, 0 where there is none; integer pixel
coordinates are pixel centres. The depth map belongs to the image's camera (same field of view,
possibly another resolution).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flow3r.errors import DataError

Source = np.ndarray | Callable[[], np.ndarray] | None
"""A value, or how to read it, or None where the dataset does not have it."""


@dataclass(frozen=True)
class Frame:
    """One frame. A dataset gives each part as a value or as a function that reads a file."""

    name: str
    """Unique within the scene; stable, because choices of frames are kept by name."""
    image_source: Source
    depth_source: Source = None
    intrinsics_source: Source = None
    pose_source: Source = None
    """None where the dataset has no pose of this frame, or marks its tracking as lost."""
    seconds: float | None = None
    files: tuple[Path, ...] = ()
    """The files the sources read, for the search for missing ones and for the fingerprint."""

    def image(self) -> np.ndarray:
        """uint8 [H, W, 3], RGB. Raises DataError naming the frame."""
        image = _read(self.image_source)
        if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(f"image of frame {self.name}: {_found(image)}, not uint8 [H, W, 3]")
        return image

    def depth(self) -> np.ndarray | None:
        """z-depth, float32 [h, w] in `Scene.unit`, 0 = none; None where the frame has no depth."""
        depth = _read(self.depth_source)
        if depth is None:
            return None
        if depth.dtype != np.float32 or depth.ndim != 2:
            raise DataError(f"depth of frame {self.name}: {_found(depth)}, not float32 [h, w]")
        if not np.isfinite(depth).all() or (depth < 0).any():
            raise DataError(f"depth of frame {self.name}: holds negative or non-finite values")
        return depth

    @property
    def intrinsics(self) -> np.ndarray | None:
        """float64 [3, 3] in pixels of `image()`, or None."""
        return self._matrix("intrinsics", self.intrinsics_source, 3)

    @property
    def world_from_camera(self) -> np.ndarray | None:
        """float64 [4, 4], OpenCV axes, or None. Raises DataError where it is no rigid motion.

        The rotation is the nearest one to the rounded numbers of the file.
        """
        pose = self._matrix("pose", self.pose_source, 4)
        if pose is None:
            return None
        rotation = pose[:3, :3]
        error = np.abs(rotation @ rotation.T - np.eye(3)).max()
        if error > ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
            raise DataError(
                f"pose of frame {self.name}: not a rotation (R R^T differs from 1 by {error:.2g}, "
                f"determinant {np.linalg.det(rotation):.3g})"
            )
        left, _, right = np.linalg.svd(rotation)
        return np.block([[left @ right, pose[:3, 3:]], [np.zeros((1, 3)), np.ones((1, 1))]])

    def _matrix(self, what: str, source: Source, side: int) -> np.ndarray | None:
        value = _read(source)
        if value is None:
            return None
        value = np.asarray(value, dtype=np.float64)
        if value.shape != (side, side):
            raise DataError(f"{what} of frame {self.name}: {_found(value)}, not [{side}, {side}]")
        if not np.isfinite(value).all():
            raise DataError(f"{what} of frame {self.name}: holds NaN or infinite values")
        return value


ROTATION_TOLERANCE = 1e-2
"""Of the entries of R R^T - 1: text files with three decimals stay below it."""


@dataclass(frozen=True)
class Scene:
    """A sequence of frames in order of time."""

    name: str
    """Unique within the dataset, e.g. 'chess/seq-03'."""
    frames: tuple[Frame, ...]
    dynamic: bool
    """Whether something moves apart from the camera: then depth gives no flow between frames."""
    metric: bool
    """Whether lengths are metres."""

    @property
    def unit(self) -> str:
        """The unit of depth and translations."""
        return "metre" if self.metric else "arbitrary"


class Dataset(Protocol):
    """A download in its own layout."""

    name: str
    path: Path
    settings: Any
    """The frozen dataclass of the dataset's settings."""
    splits: tuple[str, ...]
    """The official splits that this download can serve."""

    def scenes(self, split: str) -> list[str]:
        """Names of the scenes of a split, in the dataset's order. ConfigError: unknown split."""
        ...

    def scene(self, name: str) -> Scene:
        """One scene. Raises DataError where its layout is damaged; reads no image and no depth."""
        ...

    def fingerprint(self) -> str:
        """16 hex digits that change when a file that belongs to the dataset does."""
        ...


def files_fingerprint(root: Path, files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """16 hex digits over names below `root` and sizes of the files, and the settings.

    Sizes, not contents: a download has up to a million images. The clips made of it are
    fingerprinted by content. A missing file counts as such.
    """
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for path in sorted(set(files)):
        size = path.stat().st_size if path.is_file() else "missing"
        digest.update(f"{path.relative_to(root).as_posix()}\0{size}\n".encode())
    return digest.hexdigest()[:16]


def _read(source: Source) -> np.ndarray | None:
    return source() if callable(source) else source


def _found(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return type(value).__name__
