"""The VGGT reconstruction model: aggregator and geometry heads. The track head is left out."""

from __future__ import annotations

from torch import Tensor

from flow3r.geometry.camera import unproject
from flow3r.model.base import ReconstructionModel
from flow3r.model.outputs import Geometry, Latents
from flow3r.model.precision import full_precision
from flow3r.model.vggt.aggregator import AggregatedTokens, Aggregator
from flow3r.model.vggt.config import VggtConfig
from flow3r.model.vggt.dense_head import DenseHead, decode_depth, decode_world_points
from flow3r.model.vggt.initialise import initialise_vggt
from flow3r.model.vggt.pose_encoding import decode_pose
from flow3r.model.vggt.pose_head import PoseHead


class VggtModel(ReconstructionModel):
    """Images to latents and geometry (VGGT).

    Depth, world points and poses come from heads of their own and agree as far as training makes
    them. The world is about the first frame's camera, by training and not by construction.
    `flow3r.model.vggt.names` has the released parameter names.
    """

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        self.config = config
        width = config.latents.width
        self.backbone = Aggregator(config)
        self.camera_head = PoseHead(config.camera, width, config.norm_eps, config.attention)
        self.depth_head = DenseHead(config.dense, width, 2, config.norm_eps)
        self.point_head = DenseHead(config.dense, width, 4, config.norm_eps)
        initialise_vggt(self.backbone, self.camera_head, (self.depth_head, self.point_head))

    def encode(self, images: Tensor) -> Tensor:
        """Images [B, N, 3, H, W] in [0, 1] -> the patch encoder's tokens [B, N, h*w, C]."""
        return self.backbone.encode(images)

    def forward(self, images: Tensor) -> tuple[Latents, Geometry]:
        """Images [B, N, 3, H, W] in [0, 1] -> what flow heads may read, and decoded geometry."""
        aggregated = self.backbone(images)
        specials = aggregated.specials
        latents = Latents(
            geometry=tuple(level[:, :, specials:] for level in aggregated.levels),
            camera=tuple(level[:, :, :1] for level in aggregated.levels),
            patches=aggregated.last[:, :, specials:],
            grid=aggregated.grid,
            image_size=(images.shape[-2], images.shape[-1]),
        )
        return latents, self._decode(aggregated, latents)

    def _decode(self, aggregated: AggregatedTokens, latents: Latents) -> Geometry:
        frames, size = latents.patches.shape[:2], latents.image_size
        with full_precision(latents.patches):
            encoding = self.camera_head(aggregated.last[:, :, 0].float())
            levels = [level.float().flatten(0, 1) for level in latents.geometry]  # [B*N, L, 2C]
            depth = self.depth_head(levels, latents.grid, size).unflatten(0, frames)
            points = self.point_head(levels, latents.grid, size).unflatten(0, frames)
            pose, intrinsics = decode_pose(encoding, size)
            return Geometry(
                local_points=unproject(decode_depth(depth[:, :, 0]), intrinsics),
                confidence=points[:, :, 3],
                world_from_camera=pose,
                predicted_points=decode_world_points(points[:, :, :3]).movedim(2, -1),
                predicted_intrinsics=intrinsics,
                depth_confidence=depth[:, :, 1],
            )
