"""The sizes of the VGGT model, and its named presets.

The released VGGT-1B (without its track head) and the small ones are the same code with other
numbers. Values of the released code are the defaults where a default makes sense.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from flow3r.config import require, require_choice
from flow3r.model.dpt import RESIZE_FACTORS
from flow3r.model.sizes import (
    ATTENTION_KINDS,
    EncoderConfig,
    LatentSizes,
    check_cross_frame_heads,
    check_width,
)


@dataclass(frozen=True)
class AggregatorConfig:
    """Alternating attention over a camera token, registers and the patches of every frame."""

    width: int
    depth: int
    """Number of pairs of a per-frame and a global block."""
    heads: int
    registers: int = 4
    mlp_ratio: float = 4.0
    qk_norm: bool = True
    layer_scale: float | None = 0.01
    cross_frame_heads: float = 0.0
    """As in `DecoderConfig` of pi3; released: 0."""
    tied_query_key: bool = False
    """Start the global blocks with equal query and key weights (initialisation only)."""

    def __post_init__(self) -> None:
        check_width("aggregator", self.width, self.heads, 4)
        require(self.depth >= 1, f"aggregator.depth={self.depth} must be at least 1")
        require(self.registers >= 0, f"aggregator.registers={self.registers} must not be negative")
        check_cross_frame_heads("aggregator", self.cross_frame_heads, self.heads)


@dataclass(frozen=True)
class PoseHeadConfig:
    """The iterative camera head; its width is the aggregated tokens' (twice the aggregator's)."""

    depth: int = 4
    heads: int = 16
    iterations: int = 4
    mlp_ratio: float = 4.0
    layer_scale: float | None = 0.01

    def __post_init__(self) -> None:
        require(self.depth >= 1, f"camera.depth={self.depth} must be at least 1")
        require(self.iterations >= 1, f"camera.iterations={self.iterations} must be at least 1")


@dataclass(frozen=True)
class DenseHeadConfig:
    """The DPT heads of depth and of world points (each its own, of the same sizes)."""

    features: int = 256
    out_channels: tuple[int, ...] = (256, 512, 1024, 1024)
    """Channels of each level's projection, shallowest first."""
    ladder: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5)
    """Resolution of each level relative to the patch grid, likewise."""
    hidden: int = 32
    """Channels before the last 1x1 convolution."""

    def __post_init__(self) -> None:
        require(
            self.features >= 8 and self.features % 8 == 0,
            f"dense.features={self.features} must be a positive multiple of 8",
        )
        require(
            all(c >= 4 and c % 4 == 0 for c in self.out_channels),
            f"dense.out_channels={list(self.out_channels)} must be positive multiples of 4",
        )
        require(
            len(self.ladder) == len(self.out_channels)
            and all(factor in RESIZE_FACTORS for factor in self.ladder),
            f"dense.ladder={list(self.ladder)} must have one factor out of {RESIZE_FACTORS} for "
            f"each of the {len(self.out_channels)} out_channels",
        )
        require(self.hidden >= 1, f"dense.hidden={self.hidden} must be at least 1")


@dataclass(frozen=True)
class VggtConfig:
    """Backbone and geometry heads; the flow head is configured by its formulation."""

    patch_size: int
    encoder: EncoderConfig
    aggregator: AggregatorConfig
    camera: PoseHeadConfig = field(default_factory=PoseHeadConfig)
    dense: DenseHeadConfig = field(default_factory=DenseHeadConfig)
    levels: tuple[int, ...] = (4, 11, 17, 23)
    """Pairs of blocks that the dense heads read, and the flow heads too, in rising order."""
    attention: str = "sdpa"
    """As in `Pi3Config`."""
    encoder_norm_eps: float = 1e-6
    norm_eps: float = 1e-5
    """Of every norm outside the encoder: torch's default, unlike pi3."""
    architecture: Literal["vggt"] = "vggt"

    def __post_init__(self) -> None:
        require(self.patch_size >= 1, f"patch_size={self.patch_size} must be at least 1")
        require_choice("attention", self.attention, ATTENTION_KINDS)
        check_width("camera", 2 * self.aggregator.width, self.camera.heads, 1)
        levels, depth = self.levels, self.aggregator.depth
        require(
            1 <= len(levels) <= 4
            and list(levels) == sorted(set(levels))
            and all(0 <= level < depth for level in levels),
            f"levels={list(levels)} must name one to four different pairs of blocks in rising "
            f"order out of 0..{depth - 1} (aggregator.depth={depth})",
        )
        require(
            len(self.dense.out_channels) == len(levels),
            f"dense.out_channels={list(self.dense.out_channels)} must have one entry for each of "
            f"levels={list(levels)}",
        )

    @property
    def latents(self) -> LatentSizes:
        """Every latent is [per-frame | global]: twice the aggregator's width."""
        width = 2 * self.aggregator.width
        return LatentSizes(
            patch_size=self.patch_size,
            patch_width=width,
            width=width,
            levels=len(self.levels),
            head_width=self.aggregator.width,
        )


def vggt_large() -> VggtConfig:
    """The released size, without the track head."""
    return VggtConfig(
        patch_size=14,
        encoder=EncoderConfig(width=1024, depth=24, heads=16, grid=37),
        aggregator=AggregatorConfig(width=1024, depth=24, heads=16),
    )


def vggt_small() -> VggtConfig:
    """The counterpart of pi3-small: ViT-S width, for one GPU at 112 to 224 px."""
    return VggtConfig(
        patch_size=14,
        encoder=EncoderConfig(width=384, depth=6, heads=6, grid=16),
        aggregator=AggregatorConfig(
            width=384, depth=6, heads=6, cross_frame_heads=0.5, tied_query_key=True
        ),
        camera=PoseHeadConfig(depth=2, heads=12),
        dense=DenseHeadConfig(features=64, out_channels=(48, 96, 192, 192)),
        levels=(2, 3, 4, 5),
    )


def vggt_study() -> VggtConfig:
    """The counterpart of pi3-study: 48 px images, 36 patches a frame, seconds to train."""
    return VggtConfig(
        patch_size=8,
        encoder=EncoderConfig(
            width=64,
            depth=1,
            heads=4,
            grid=6,
            class_token=False,
            registers=0,
            mlp_ratio=2.0,
            layer_scale=None,
        ),
        aggregator=AggregatorConfig(
            width=64,
            depth=2,
            heads=4,
            registers=1,
            mlp_ratio=2.0,
            layer_scale=None,
            cross_frame_heads=0.5,
            tied_query_key=True,
        ),
        camera=PoseHeadConfig(depth=1, heads=4, iterations=2, mlp_ratio=2.0, layer_scale=None),
        dense=DenseHeadConfig(features=16, out_channels=(32,), ladder=(2.0,), hidden=8),
        levels=(1,),
        attention="softmax",
    )


def vggt_smoke() -> VggtConfig:
    """Small enough for tests: 32 px images, 16 patches a frame."""
    return VggtConfig(
        patch_size=8,
        encoder=EncoderConfig(
            width=32, depth=1, heads=2, grid=4, class_token=False, registers=0, layer_scale=None
        ),
        aggregator=AggregatorConfig(
            width=32,
            depth=1,
            heads=2,
            registers=2,
            layer_scale=None,
            cross_frame_heads=0.5,
            tied_query_key=True,
        ),
        camera=PoseHeadConfig(depth=1, heads=2, iterations=2, layer_scale=None),
        dense=DenseHeadConfig(features=8, out_channels=(16,), ladder=(2.0,), hidden=8),
        levels=(0,),
        attention="softmax",
    )
