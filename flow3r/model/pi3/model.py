"""The pi3 reconstruction model: backbone and geometry heads."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.model.base import ReconstructionModel
from flow3r.model.heads import PixelHead, decode_points
from flow3r.model.initialise import initialise_pixel_head, initialise_transformer
from flow3r.model.outputs import Geometry, Latents
from flow3r.model.pi3.backbone import BackboneTokens, Pi3Backbone
from flow3r.model.pi3.camera_head import CameraHead
from flow3r.model.pi3.config import Pi3Config
from flow3r.model.pi3.initialise import initialise_backbone, initialise_camera_head
from flow3r.model.pi3.task_decoder import TaskDecoder
from flow3r.model.precision import full_precision


class Pi3Model(ReconstructionModel):
    """Images to latents and geometry (pi3).

    Parameter names without the leading `backbone.` are those of the released model. Parts are
    built in a fixed order, confidence last, so that its kind changes no other initial weight.
    """

    def __init__(self, config: Pi3Config) -> None:
        super().__init__()
        self.config = config
        tasks = config.tasks
        self.backbone = Pi3Backbone(config)
        self.point_decoder = TaskDecoder(config, tasks.width)
        self.camera_decoder = TaskDecoder(config, tasks.camera_width)
        self.point_head = PixelHead(tasks.width, 3, config.patch_size)
        self.camera_head = CameraHead(tasks.camera_width)
        initialise_backbone(self.backbone)
        for decoder in (self.point_decoder, self.camera_decoder):
            initialise_transformer(decoder)
        initialise_pixel_head(self.point_head)
        initialise_camera_head(self.camera_head)
        self.conf_decoder: TaskDecoder | None = None
        if config.confidence == "own-decoder":
            self.conf_decoder = TaskDecoder(config, tasks.width)
            initialise_transformer(self.conf_decoder)
        self.conf_head = PixelHead(tasks.width, 1, config.patch_size)
        initialise_pixel_head(self.conf_head)

    def encode(self, images: Tensor) -> Tensor:
        """Images [B, N, 3, H, W] in [0, 1] -> the patch encoder's tokens [B, N, h*w, C]."""
        return self.backbone.encode(images)

    def forward(self, images: Tensor) -> tuple[Latents, Geometry]:
        """Images [B, N, 3, H, W] in [0, 1] -> what flow heads may read, and decoded geometry."""
        backbone = self.backbone(images)
        points, geometry_latents = self.point_decoder(backbone)
        camera, camera_latents = self.camera_decoder(backbone)
        latents = Latents(
            geometry=geometry_latents,
            camera=camera_latents,
            patches=backbone.tokens[:, :, backbone.registers :],
            grid=backbone.grid,
            image_size=(images.shape[-2], images.shape[-1]),
        )
        confidence = self._confidence_features(backbone, points)
        frames = images.shape[:2]
        return latents, self._decode(points, camera, confidence, backbone.grid, frames)

    def _confidence_features(self, backbone: BackboneTokens, points: Tensor) -> Tensor:
        if self.conf_decoder is None:
            return points.detach()
        return self.conf_decoder(backbone)[0]

    def _decode(
        self,
        points: Tensor,
        camera: Tensor,
        confidence: Tensor,
        grid: tuple[int, int],
        frames: torch.Size,
    ) -> Geometry:
        with full_precision(points):
            local_points = decode_points(self.point_head(points.float(), grid))
            logit = self.conf_head(confidence.float(), grid)[:, 0]
            pose = self.camera_head(camera.float())
        return Geometry(
            local_points=local_points.unflatten(0, frames),
            confidence=logit.unflatten(0, frames),
            world_from_camera=pose.unflatten(0, frames),
        )
