"""What the model hands out: latents for the flow heads, decoded geometry, predicted flow.

Shapes: B clips, N frames, h x w patches (L = h*w), H x W pixels, P ordered pairs, C channels of
the latents, D channels of the backbone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

from flow3r.geometry.camera import recover_intrinsics


@dataclass(frozen=True)
class Latents:
    """What a flow head may read, one entry per level (released: 4). Special tokens are removed."""

    geometry: tuple[Tensor, ...]
    """Each [B, N, L, C]. pi3: of the point decoder; VGGT: the patch tokens of a pair of blocks."""
    camera: tuple[Tensor, ...]
    """Each [B, N, L, C] or [B, N, 1, C]. pi3: of the camera decoder, per patch; VGGT: the camera
    token of a pair of blocks, one for the whole frame."""
    patches: Tensor  # [B, N, L, D], the backbone's output
    grid: tuple[int, int]  # (h, w)
    image_size: tuple[int, int]  # (H, W)

    def clips(self, index: slice) -> Latents:
        """Some clips of the batch: one backbone pass can serve labelled and unlabelled clips."""
        return Latents(
            geometry=tuple(level[index] for level in self.geometry),
            camera=tuple(level[index] for level in self.camera),
            patches=self.patches[index],
            grid=self.grid,
            image_size=self.image_size,
        )


@dataclass(frozen=True)
class Geometry:
    """Decoded geometry; scale-free. What only VGGT predicts is None with pi3."""

    local_points: Tensor  # [B, N, H, W, 3] in the frame's own camera axes
    confidence: Tensor  # [B, N, H, W], a logit
    world_from_camera: Tensor  # [B, N, 4, 4]
    predicted_points: Tensor | None = None  # [B, N, H, W, 3], world points by a head of their own
    predicted_intrinsics: Tensor | None = None  # [B, N, 3, 3]
    depth_confidence: Tensor | None = None  # [B, N, H, W], a logit

    def clips(self, index: slice) -> Geometry:
        """Some clips of the batch."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Geometry(**{k: None if v is None else v[index] for k, v in values.items()})

    @property
    def points(self) -> Tensor:
        """[B, N, H, W, 3] in the common (world) frame of the prediction.

        VGGT: what its point head predicts; pi3: the local points, moved by the pose.
        """
        if self.predicted_points is not None:
            return self.predicted_points
        rotation = self.world_from_camera[..., None, None, :3, :3]
        translation = self.world_from_camera[..., None, None, :3, 3]
        return (rotation @ self.local_points[..., None])[..., 0] + translation

    @property
    def intrinsics(self) -> Tensor:
        """[B, N, 3, 3] in pixels. VGGT: from its field of view; pi3: fitted to the local points."""
        if self.predicted_intrinsics is not None:
            return self.predicted_intrinsics
        return recover_intrinsics(self.local_points)


@dataclass(frozen=True)
class Flow:
    """Predicted flow of ordered pairs."""

    target_px: Tensor  # [B, P, H, W, 2], (x, y) in pixels of the target frame
    valid: Tensor  # [B, P, H, W] bool; False where no prediction exists (a point behind the camera)


@dataclass(frozen=True)
class Prediction:
    """The output of the assembled model; `flow` is None without pairs or without a flow head."""

    latents: Latents
    geometry: Geometry
    flow: Flow | None

    @property
    def local_points(self) -> Tensor:
        """See `Geometry`, as for the following four."""
        return self.geometry.local_points

    @property
    def points(self) -> Tensor:
        return self.geometry.points

    @property
    def confidence(self) -> Tensor:
        return self.geometry.confidence

    @property
    def world_from_camera(self) -> Tensor:
        return self.geometry.world_from_camera

    @property
    def intrinsics(self) -> Tensor:
        return self.geometry.intrinsics
