"""What one scene is scored against, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow3r.data.clip import EvaluationClips
from flow3r.errors import DataError


@dataclass(frozen=True)
class SceneTruth:
    """The truth of the chosen frames of one scene; lengths in the dataset's unit."""

    scene: str
    frames: tuple[str, ...]
    """Names of the N frames, in the order the model saw them."""
    world_from_camera: np.ndarray | None  # [N, 4, 4] float64
    depth: np.ndarray | None = None  # [N, H, W] float32, z, 0 = none
    intrinsics: np.ndarray | None = None  # [N, 3, 3] float64, of the depth maps
    metric: bool = True
    """Whether lengths are metres."""

    def __post_init__(self) -> None:
        for name in ("world_from_camera", "depth", "intrinsics"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                raise DataError(f"scene {self.scene}: the true {name} is not finite")

    @property
    def group(self) -> str:
        """The first part of the scene's name: the category in 'apple/110_13051_23361'."""
        return self.scene.partition("/")[0]

    @classmethod
    def of(cls, clips: EvaluationClips, metric: bool = False) -> SceneTruth:
        """The truth of a batch of one clip."""
        if len(clips.scenes) != 1:
            raise DataError(f"a scene is scored on its own, not {len(clips.scenes)} at a time")
        labelled = clips.labelled
        return cls(
            clips.scenes[0],
            tuple(f"{index:06d}" for index in range(labelled.depth.shape[1])),
            labelled.world_from_camera[0].cpu().double().numpy(),
            labelled.depth[0].cpu().numpy(),
            labelled.intrinsics[0].cpu().double().numpy(),
            metric,
        )
