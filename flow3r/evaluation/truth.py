"""The ground truth of evaluation clips as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from flow3r.data.clip import EvaluationClips
from flow3r.evaluation.pointmap import to_world
from flow3r.geometry.camera import unproject

PART_PIXELS = 400_000
"""Pixels scored at a time; bounds the memory."""


@dataclass(frozen=True)
class Truth:
    """What the metrics compare with; M clips."""

    depth: np.ndarray  # [M, N, H, W], 0 = none
    intrinsics: np.ndarray  # [M, N, 3, 3]
    world_from_camera: np.ndarray  # [M, N, 4, 4]
    moving: np.ndarray  # [M, N, H, W] bool
    target_px: np.ndarray  # [M, P, H, W, 2]
    covisibility: np.ndarray  # [M, P, H, W]
    pairs: np.ndarray  # [P, 2]

    @classmethod
    def of(cls, clips: EvaluationClips) -> Truth:
        """The arrays of a batch of evaluation clips."""
        labelled = clips.labelled
        return cls(
            depth=labelled.depth.cpu().numpy(),
            intrinsics=labelled.intrinsics.cpu().numpy(),
            world_from_camera=labelled.world_from_camera.cpu().numpy(),
            moving=clips.moving.cpu().numpy().astype(bool),
            target_px=labelled.flow.target_px.cpu().numpy(),
            covisibility=labelled.flow.covisibility.cpu().numpy(),
            pairs=labelled.flow.pairs.cpu().numpy(),
        )

    def __len__(self) -> int:
        return len(self.depth)

    @property
    def local_points(self) -> np.ndarray:
        """[M, N, H, W, 3] in each frame's camera axes."""
        depth, intrinsics = torch.from_numpy(self.depth), torch.from_numpy(self.intrinsics)
        return unproject(depth, intrinsics).numpy()

    @property
    def points(self) -> np.ndarray:
        """[M, N, H, W, 3] in the world."""
        return to_world(self.local_points, self.world_from_camera)

    def parts(self) -> list[slice]:
        """Runs of clips of at most `PART_PIXELS` pixels (at least one clip)."""
        step = max(1, PART_PIXELS // max(1, int(np.prod(self.depth.shape[1:]))))
        return [slice(start, start + step) for start in range(0, len(self), step)]

    def select(self, part: slice | np.ndarray) -> Truth:
        """Some of the clips."""
        names = [field.name for field in fields(self) if field.name != "pairs"]
        return replace(self, **{name: getattr(self, name)[part] for name in names})
