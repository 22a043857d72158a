"""flow-tracking: flow by matching the features of both frames, in the spirit of VGGT's track head.

Both frames' backbone features are projected and normalised, an all-pairs correlation volume at
patch resolution gives a first flow by soft-argmax, a small recurrent update refines it from
correlations looked up around the current target (RAFT), and bilinear interpolation with a learned
correction brings it to pixels. The head reads `latents.patches` only: neither the camera branch nor
the points branch gets a gradient from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow3r.config import require
from flow3r.formulations.base import Formulation, frames_of
from flow3r.formulations.registry import register
from flow3r.geometry.camera import pixel_grid, size_like
from flow3r.model.heads import PixelHead
from flow3r.model.outputs import Flow, Geometry, Latents
from flow3r.model.precision import full_precision
from flow3r.model.sizes import LatentSizes


@dataclass(frozen=True)
class TrackingConfig:
    """Sizes of the matching head."""

    features: int = 64
    """Channels of the matched features (VGGT's tracker: 128)."""
    hidden: int = 32
    """Channels of the recurrent state."""
    radius: int = 1
    """Correlations are looked up in a window of (2*radius + 1)^2 patches."""
    steps: int = 2
    temperature: float = 0.07
    """First temperature of the soft-argmax over cosine similarities; learned from there."""

    def __post_init__(self) -> None:
        for name in ("features", "hidden", "radius", "steps"):
            value = getattr(self, name)
            require(value >= 1, f"{name}={value} must be at least 1")
        require(self.temperature > 0, f"temperature={self.temperature} must be positive")


@register(TrackingConfig)
class Tracking(Formulation):
    """Gradients reach the backbone only."""

    name = "flow-tracking"
    supervises_unlabelled = True

    def __init__(self, options: TrackingConfig, sizes: LatentSizes) -> None:
        super().__init__()
        self.head = MatchingHead(options, sizes.patch_width, sizes.patch_size)

    def forward(
        self, latents: Latents, geometry: Geometry, pairs: Tensor, intrinsics: Tensor | None
    ) -> Flow:
        """Flow of all pairs, in float32; valid everywhere."""
        with full_precision(latents.patches):
            displacement = self.head(latents.patches.float(), pairs, latents.grid)
        target_px = displacement + pixel_grid(
            *latents.image_size, displacement.device, displacement.dtype
        )
        return Flow(target_px, torch.ones_like(target_px[..., 0], dtype=torch.bool))


class MatchingHead(nn.Module):
    """Patch features of all frames to the displacement of every pixel of every pair."""

    def __init__(self, options: TrackingConfig, width: int, patch_size: int) -> None:
        super().__init__()
        hidden = options.hidden
        self.options = options
        self.patch_size = patch_size
        self.norm = nn.LayerNorm(width)
        self.match = nn.Linear(width, options.features)
        self.context = nn.Linear(width, 2 * hidden)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(options.temperature)))
        self.update = UpdateBlock(hidden, (2 * options.radius + 1) ** 2)
        self.correction = PixelHead(hidden, 2, patch_size)
        nn.init.zeros_(self.correction.proj.weight)
        nn.init.zeros_(self.correction.proj.bias)

    def forward(self, patches: Tensor, pairs: Tensor, grid: tuple[int, int]) -> Tensor:
        """Features [B, N, L, D], pairs [(B,) P, 2] -> displacement in pixels [B, P, H, W, 2]."""
        source, target = pairs.unbind(-1)
        patches = self.norm(patches)
        match = functional.normalize(self.match(patches), dim=-1)  # [B, N, L, F]
        state, context = self.context(patches).chunk(2, dim=-1)
        state = frames_of(torch.tanh(state), source).flatten(0, 1)  # [B*P, L, hidden]
        context = frames_of(context, source).flatten(0, 1)
        correlation = frames_of(match, source) @ frames_of(match, target).mT  # [B, P, L, L]
        correlation = correlation.flatten(0, 1)  # [B*P, L, L]
        centres = patch_grid(grid, patches)  # [L, 2] in units of patches
        position = self._soft_argmax(correlation, centres)  # [B*P, L, 2]
        volume = correlation.flatten(0, 1).unflatten(1, (1, *grid))  # [B*P*L, 1, h, w]
        for _ in range(self.options.steps):
            nearby = look_up(volume, position, self.options.radius)
            state, change = self.update(state, context, nearby, position - centres, grid)
            position = position + change
        flow = self._upsample((position - centres) * self.patch_size, state, grid)
        return flow.unflatten(0, (-1, pairs.shape[-2]))

    def _soft_argmax(self, correlation: Tensor, centres: Tensor) -> Tensor:
        """The expected target position of every source patch, in patches [B*P, L, 2]."""
        return (correlation * self.log_scale.exp()).softmax(dim=-1) @ centres

    def _upsample(self, flow: Tensor, state: Tensor, grid: tuple[int, int]) -> Tensor:
        """[B*P, L, 2] at patch centres -> [B*P, H, W, 2]: bilinear, plus a correction per pixel.

        RAFT's convex combination of 3x3 patches cannot leave their hull and took most of this
        head's time at small sizes (a softmax over nine for every pixel).
        """
        maps = flow.transpose(1, 2).unflatten(2, grid)  # [B*P, 2, h, w]
        smooth = functional.interpolate(maps, scale_factor=self.patch_size, mode="bilinear")
        return (smooth + self.correction(state, grid) * self.patch_size).permute(0, 2, 3, 1)


class UpdateBlock(nn.Module):
    """A gated recurrent step on patches, with a 3x3 convolution for their neighbourhood."""

    def __init__(self, hidden: int, window: int) -> None:
        super().__init__()
        self.motion = nn.Linear(window + 2, hidden)
        self.neighbours = nn.Conv2d(2 * hidden, hidden, 3, padding=1)
        self.gates = nn.Linear(2 * hidden, 2 * hidden)
        self.candidate = nn.Linear(2 * hidden, hidden)
        self.change = nn.Linear(hidden, 2)
        nn.init.zeros_(self.change.weight)  # the first flow is the soft-argmax, undisturbed
        nn.init.zeros_(self.change.bias)

    def forward(
        self,
        state: Tensor,
        context: Tensor,
        nearby: Tensor,
        displacement: Tensor,
        grid: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """State and context [F, L, C], looked-up correlations [F, L, K], displacement in patches
        [F, L, 2] -> the next state and the change of the target position in patches [F, L, 2].
        """
        motion = functional.relu(self.motion(torch.cat([nearby, displacement], dim=-1)) + context)
        maps = torch.cat([state, motion], dim=-1).transpose(1, 2).unflatten(2, grid)
        seen = functional.relu(self.neighbours(maps)).flatten(2).transpose(1, 2)
        update, reset = self.gates(torch.cat([state, seen], dim=-1)).sigmoid().chunk(2, dim=-1)
        candidate = torch.tanh(self.candidate(torch.cat([reset * state, seen], dim=-1)))
        state = (1 - update) * state + update * candidate
        return state, self.change(state)


def patch_grid(grid: tuple[int, int], like: Tensor) -> Tensor:
    """[h*w, 2] integer patch coordinates (x, y), row-major."""
    return pixel_grid(*grid, like.device, like.dtype).flatten(0, 1)


def look_up(volume: Tensor, position: Tensor, radius: int) -> Tensor:
    """Bilinear correlations in a window around each target position.

    `volume` [F*L, 1, h, w], `position` [F, L, 2] in patches -> [F, L, (2*radius + 1)^2]; zero
    outside the target image. The position is detached, as in RAFT: the soft-argmax and the summed
    changes carry its gradient.
    """
    height, width = volume.shape[-2:]
    offsets = torch.arange(-radius, radius + 1, device=position.device, dtype=position.dtype)
    window = torch.stack(torch.meshgrid(offsets, offsets, indexing="xy"), dim=-1)  # [K, K, 2]
    points = position.detach().flatten(0, 1)[:, None, None] + window  # [F*L, K, K, 2]
    size = size_like(max(height - 1, 1), max(width - 1, 1), points)
    sampled = functional.grid_sample(volume, 2 * points / size - 1, align_corners=True)
    return sampled.flatten(1).unflatten(0, position.shape[:2])
