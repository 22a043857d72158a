"""What the model hands out: latents for the flow heads, decoded geometry, predicted flow.

Shapes: B clips, N frames, h x w patches (L = h*w), H x W pixels, P ordered pairs, C latent
channels of the task decoders, D channels of the backbone.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Latents:
    """What a flow head may read. Special tokens are already removed."""

    geometry: tuple[
        Tensor, ...
    ]  # one entry per level (released: 4), each [B, N, L, C], from the point decoder
    camera: tuple[
        Tensor, ...
    ]  # one entry per level (released: 4), each [B, N, L, C], from the camera decoder
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
    """Decoded geometry; scale-free."""

    local_points: Tensor  # [B, N, H, W, 3] in the frame's own camera axes
    confidence: Tensor  # [B, N, H, W], a logit
    world_from_camera: Tensor  # [B, N, 4, 4]

    def clips(self, index: slice) -> Geometry:
        """Some clips of the batch."""
        return Geometry(
            local_points=self.local_points[index],
            confidence=self.confidence[index],
            world_from_camera=self.world_from_camera[index],
        )

    @property
    def points(self) -> Tensor:
        """[B, N, H, W, 3] in the common (world) frame of the prediction."""
        rotation = self.world_from_camera[..., None, None, :3, :3]
        translation = self.world_from_camera[..., None, None, :3, 3]
        return (rotation @ self.local_points[..., None])[..., 0] + translation


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
