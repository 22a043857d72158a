"""What a model, ours or a rival's, says about one sequence of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow3r.errors import DataError
from flow3r.evaluation.pointmap import to_world

ROTATION_TOLERANCE = 1e-3
"""Of the entries of R R^T - 1: quaternions with four decimals stay below it."""


@dataclass(frozen=True)
class SequencePrediction:
    """N frames, any number and size; lengths share one unknown scale, the world is any frame.

    Poses or points may be missing: what needs them is then not scored. OpenCV camera axes.
    """

    sequence: str
    """The benchmark's name of the sequence, e.g. 'chess/seq-03'."""
    frames: tuple[str, ...]
    """Names of the N frames, in the order of the arrays."""
    world_from_camera: np.ndarray | None = None  # [N, 4, 4] float64
    local_points: np.ndarray | None = None  # [N, h, w, 3] float32, in each frame's own camera axes
    world_points: np.ndarray | None = None  # [N, h, w, 3] float32; None: local ones, moved by poses
    confidence: np.ndarray | None = None  # [N, h, w] float32 in [0, 1]

    def __post_init__(self) -> None:
        """Raises DataError, naming sequence, array and first bad frame."""
        if self.world_from_camera is None and self.size is None:
            raise DataError(f"{self.sequence}: neither poses nor points are predicted")
        if len(set(self.frames)) != len(self.frames):
            raise DataError(f"{self.sequence}: a frame name occurs twice")
        self._check_shapes()
        for name in ("world_from_camera", "local_points", "world_points", "confidence"):
            self._check_finite(name)
        if self.world_from_camera is not None:
            self._check_rotations()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int] | None:
        """(h, w) of the pointmaps; None without points."""
        points = self.local_points if self.local_points is not None else self.world_points
        return None if points is None else (points.shape[1], points.shape[2])

    def points(self) -> np.ndarray | None:
        """World points [N, h, w, 3]; None without points, or with local ones but no poses."""
        if self.world_points is not None:
            return self.world_points
        if self.local_points is None or self.world_from_camera is None:
            return None
        return to_world(self.local_points[None], self.world_from_camera[None])[0]

    def depth(self) -> np.ndarray | None:
        """z along the optical axis [N, h, w]; None without points, or world ones but no poses."""
        if self.local_points is not None:
            return self.local_points[..., 2]
        if self.world_points is None or self.world_from_camera is None:
            return None
        axis = self.world_from_camera[:, :3, 2]  # the optical axes in the world
        centre = self.world_from_camera[:, :3, 3]
        offset = self.world_points - centre[:, None, None]
        return np.einsum("nhwc,nc->nhw", offset, axis)

    def select(self, frames: tuple[str, ...]) -> SequencePrediction:
        """The same frames in another order. Raises DataError, with the first difference, unless
        they are the same."""
        if frames == self.frames:
            return self
        if len(frames) != len(self.frames):
            raise DataError(
                f"{self.sequence}: {len(self.frames)} frames are predicted, the benchmark has "
                f"{len(frames)}"
            )
        place = {name: index for index, name in enumerate(self.frames)}
        missing = [name for name in frames if name not in place]
        if missing:
            unknown = sorted(set(self.frames) - set(frames))
            raise DataError(
                f"{self.sequence}: frame {missing[0]!r} is not predicted ({len(missing)} of "
                f"{len(frames)} are missing); found {unknown[0]!r} instead"
            )
        order = [place[name] for name in frames]
        arrays = [self.world_from_camera, self.local_points, self.world_points, self.confidence]
        return SequencePrediction(
            self.sequence, frames, *(None if array is None else array[order] for array in arrays)
        )

    def _check_shapes(self) -> None:
        size = self.size
        points = (len(self), *(size or ()), 3)
        expected = {
            "world_from_camera": (len(self), 4, 4),
            "local_points": points,
            "world_points": points,
            "confidence": points[:-1],
        }
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise DataError(f"{self.sequence}: {name} has shape {value.shape}, not {shape}")

    def _check_finite(self, name: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        finite = np.isfinite(value.reshape(len(self), -1)).all(axis=1)
        if not finite.all():
            first = self.frames[int(np.argmin(finite))]
            raise DataError(
                f"{self.sequence}: {name} is not finite in {int((~finite).sum())} of {len(self)} "
                f"frames, the first is {first}"
            )

    def _check_rotations(self) -> None:
        rotation = self.world_from_camera[:, :3, :3]
        error = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max(axis=(1, 2))
        wrong = (error > ROTATION_TOLERANCE) | (np.linalg.det(rotation) < 0)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise DataError(
                f"{self.sequence}: the pose of frame {self.frames[first]} is no rotation "
                f"(R R^T differs from 1 by {error[first]:.2g})"
            )
