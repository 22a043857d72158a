"""flow-factored: flow from the source's geometry and camera latents and the target's camera.

The released flow head: per level, concat(source camera latents per patch, mean of the target's
camera latents over its patches, source geometry latents per patch), an MLP and a LayerNorm shared
by the levels, then a DPT head. The target's scene content is never seen, only a pooled description
of its camera, which is what factors flow into scene and motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow3r.config import require
from flow3r.formulations.base import Formulation, frames_of
from flow3r.formulations.registry import register
from flow3r.geometry.camera import pixel_grid
from flow3r.geometry.flow import ndc_from_px, px_from_ndc
from flow3r.model.dpt import RESIZE_FACTORS, DptHead, DptSizes, at_once
from flow3r.model.outputs import Flow, Geometry, Latents
from flow3r.model.precision import full_precision
from flow3r.model.sizes import LatentSizes


@dataclass(frozen=True)
class FactoredConfig:
    """Sizes relative to the width of a block; the defaults are the released proportions."""

    mlp_ratio: float = 2.0
    feature_ratio: float = 0.25
    channel_ratios: tuple[float, ...] = (0.25, 0.5, 1.0, 1.0)
    """One per level, shallowest first; a model with fewer levels uses the first ones."""
    ladder: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5)
    """Resolution of each level relative to the patch grid, likewise. The fused map has twice the
    first one: released, 8/14 of the image's resolution."""
    hidden: int = 32
    """Channels before the last 1x1 convolution."""
    identity_ramp: bool = True
    """Add the coordinates of the source pixel to the output, so that the first flow is about
    zero. The released head has no such term (set False to use its weights)."""

    def __post_init__(self) -> None:
        require(self.mlp_ratio > 0, f"mlp_ratio={self.mlp_ratio} must be positive")
        require(self.feature_ratio > 0, f"feature_ratio={self.feature_ratio} must be positive")
        require(
            len(self.channel_ratios) == 4 and min(self.channel_ratios) > 0,
            f"channel_ratios={list(self.channel_ratios)} must be four positive numbers",
        )
        require(
            len(self.ladder) == 4
            and all(factor in RESIZE_FACTORS for factor in self.ladder)
            and list(self.ladder) == sorted(self.ladder, reverse=True),
            f"ladder={list(self.ladder)} must be four falling factors out of {RESIZE_FACTORS}",
        )
        require(self.hidden >= 1, f"hidden={self.hidden} must be at least 1")


class FactoredHead(DptHead):
    """The released `flow_head`, parameter for parameter (68 tensors at paper size)."""

    def __init__(
        self, options: FactoredConfig, width: int, levels: int, latent_width: int | None = None
    ) -> None:
        """`latent_width`: channels of the latents, where they are not `width`."""
        ratios = options.channel_ratios[:levels]
        super().__init__(
            DptSizes(
                width=width,
                features=_multiple(options.feature_ratio * width, 8),
                out_channels=tuple(_multiple(ratio * width, 4) for ratio in ratios),
                ladder=options.ladder[:levels],
                hidden=options.hidden,
                outputs=2,
            )
        )
        inner = round(options.mlp_ratio * width)
        self.mlp = nn.Sequential(
            nn.Linear(3 * (latent_width or width), inner),
            nn.ReLU(),
            nn.Linear(inner, inner),
            nn.ReLU(),
            nn.Linear(inner, width),
        )
        self.norm = nn.LayerNorm(width)

    def maps(
        self,
        camera: Sequence[Tensor],
        geometry: Sequence[Tensor],
        pairs: Tensor,
        grid: tuple[int, int],
        image_size: tuple[int, int],
    ) -> Tensor:
        """Latents [B, N, L, C] of every level and pairs [(B,) P, 2] -> [B*P, 2, H, W]."""
        fused = [self.fuse(*level, pairs).flatten(0, 1) for level in zip(camera, geometry)]
        return self(fused, grid, image_size)

    def fuse(self, camera: Tensor, geometry: Tensor, pairs: Tensor) -> Tensor:
        """Latents [B, N, L, C] of one level and pairs [(B,) P, 2] -> fused tokens [B, P, L, C].

        The first layer acts on a concatenation, so its products with the source's and the target's
        latents are computed once per frame and added per pair. Without gradients some pairs at a
        time, so that the hidden layers stay in a CPU's cache.
        """
        of_camera, of_target, of_geometry = self.mlp[0].weight.chunk(3, dim=1)
        local = functional.linear(camera, of_camera, self.mlp[0].bias)
        local = local + functional.linear(geometry, of_geometry)  # [B, N, L, M]
        pooled = functional.linear(camera.mean(dim=2), of_target)  # [B, N, M]
        step = at_once(pairs.shape[-2], local[:, 0])
        parts = [self._fuse(local, pooled, part) for part in pairs.split(step, dim=-2)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _fuse(self, local: Tensor, pooled: Tensor, pairs: Tensor) -> Tensor:
        source, target = pairs.unbind(-1)
        hidden = frames_of(local, source)
        hidden += frames_of(pooled, target)[:, :, None]
        hidden = self.mlp[2](hidden.relu_())
        return self.norm(self.mlp[4](hidden.relu_()))


@register(FactoredConfig)
class Factored(Formulation):
    """Gradients reach whatever makes the latents (pi3: the point and camera decoders' blocks, not
    their last projections; VGGT: the aggregator), and no geometry head."""

    name = "flow-factored"
    supervises_unlabelled = True

    def __init__(self, options: FactoredConfig, sizes: LatentSizes) -> None:
        super().__init__()
        self.options = options
        self.head = FactoredHead(options, sizes.head_width, sizes.levels, sizes.width)

    def forward(
        self, latents: Latents, geometry: Geometry, pairs: Tensor, intrinsics: Tensor | None
    ) -> Flow:
        """Flow of all pairs, in float32; valid everywhere."""
        with full_precision(latents.patches):
            camera = [level.float() for level in latents.camera]
            points = [level.float() for level in latents.geometry]
            maps = self.head.maps(camera, points, pairs, latents.grid, latents.image_size)
        ndc = maps.permute(0, 2, 3, 1).unflatten(0, (-1, pairs.shape[-2]))
        if self.options.identity_ramp:
            ndc = ndc + _identity(latents.image_size, ndc)
        target_px = px_from_ndc(ndc, latents.image_size)
        return Flow(target_px, torch.ones_like(target_px[..., 0], dtype=torch.bool))


def _identity(image_size: tuple[int, int], like: Tensor) -> Tensor:
    return ndc_from_px(pixel_grid(*image_size, like.device, like.dtype), image_size)


def _multiple(value: float, of: int) -> int:
    """The nearest positive multiple (the coordinate embedding needs channels in fours)."""
    return max(of, of * round(value / of))
