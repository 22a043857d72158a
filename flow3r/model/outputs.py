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

    geometry: tuple[Tensor, ...]  # four depths, each [B, N, L, C], from the point decoder
    camera: tuple[Tensor, ...]  # four depths, each [B, N, L, C], from the camera decoder
    patches: Tensor  # [B, N, L, D], the backbone's output
    grid: tuple[int, int]  # (h, w)
    image_size: tuple[int, int]  # (H, W)


@dataclass(frozen=True)
class Geometry:
    """Decoded geometry; scale-free."""

    local_points: Tensor  # [B, N, H, W, 3] in the frame's own camera axes
    confidence: Tensor  # [B, N, H, W], a logit
    world_from_camera: Tensor  # [B, N, 4, 4]

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
