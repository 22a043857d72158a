"""flow-projective: flow as the projection of the decoded static geometry.

Every source point is moved into the target camera by the predicted relative pose and projected.
The world is taken as rigid, which is where this formulation fails on moving objects.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from flow3r.config import require, require_choice
from flow3r.errors import ConfigError
from flow3r.formulations.base import Formulation, frames_of
from flow3r.formulations.registry import register
from flow3r.geometry.camera import size_like
from flow3r.geometry.flow import rigid_target_px
from flow3r.geometry.se3 import relative_pose
from flow3r.model.outputs import Flow, Geometry, Latents
from flow3r.model.sizes import LatentSizes

INTRINSICS = ("recovered", "given")


@dataclass(frozen=True)
class ProjectiveConfig:
    """Options of flow-projective."""

    intrinsics: str = "recovered"
    """recovered: the model's own, which pi3 gets by least squares on its local points and VGGT
    from its field of view, gradient kept; what unlabelled video allows. given: the true ones,
    which the clips must then have."""
    limit: float = 2.0
    """Targets further than this many image sizes outside the target image are clamped (their
    gradient is zero): a point near the target's camera plane would dominate any loss."""

    def __post_init__(self) -> None:
        require_choice("intrinsics", self.intrinsics, INTRINSICS)
        require(self.limit > 0, f"limit={self.limit} must be positive")


@register(ProjectiveConfig)
class Projective(Formulation):
    """Has no parameters; gradients reach everything upstream of points and poses."""

    name = "flow-projective"
    supervises_unlabelled = True

    def __init__(self, options: ProjectiveConfig, sizes: LatentSizes) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, latents: Latents, geometry: Geometry, pairs: Tensor, intrinsics: Tensor | None
    ) -> Flow:
        """Flow of all pairs; `valid` is False where the point is behind the target camera.

        Raises ConfigError when given intrinsics are asked for and the clips have none.
        """
        source, target = pairs.unbind(-1)
        cameras = self._intrinsics(geometry, intrinsics)
        pose = geometry.world_from_camera
        target_from_source = relative_pose(frames_of(pose, target), frames_of(pose, source))
        target_px, valid = rigid_target_px(
            frames_of(geometry.local_points, source),
            target_from_source,
            frames_of(cameras, target),
        )
        return Flow(self._clamp(target_px, latents.image_size), valid)

    def _intrinsics(self, geometry: Geometry, intrinsics: Tensor | None) -> Tensor:
        if self.options.intrinsics == "recovered":
            return geometry.intrinsics
        if intrinsics is None:
            raise ConfigError(
                "flow-projective has intrinsics='given' but the clips carry none; "
                f"choose one of {list(INTRINSICS)}"
            )
        return intrinsics

    def _clamp(self, target_px: Tensor, image_size: tuple[int, int]) -> Tensor:
        size = size_like(*image_size, target_px)
        low, high = -self.options.limit * size, (1.0 + self.options.limit) * size
        return target_px.clamp(low, high)
