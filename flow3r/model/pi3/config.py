"""The sizes of the pi3 model, and its named presets.

The paper's model (released Flow3r) and the small ones are the same code with other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flow3r.config import require, require_choice
from flow3r.model.sizes import (
    ATTENTION_KINDS,
    EncoderConfig,
    LatentSizes,
    check_cross_frame_heads,
    check_width,
)

CONFIDENCE_KINDS = ("own-decoder", "shared-decoder")


@dataclass(frozen=True)
class DecoderConfig:
    """The alternating-attention decoder of pi3: even blocks per frame, odd blocks global."""

    width: int
    depth: int
    heads: int
    registers: int = 5
    """Learned tokens put before the patches of every frame, the same ones for every frame."""
    mlp_ratio: float = 4.0
    qk_norm: bool = True
    layer_scale: float | None = 0.01
    cross_frame_heads: float = 0.0
    """Share of the heads of a global block that attend to the other frames only (paper: 0).

    With one frame there is no other frame and these heads attend to it.
    """
    tied_query_key: bool = False
    """Start the global blocks with equal query and key weights (initialisation only)."""

    def __post_init__(self) -> None:
        check_width("decoder", self.width, self.heads, 4)
        require(
            self.depth >= 2 and self.depth % 2 == 0,
            f"decoder.depth={self.depth} must be even and at least 2 (frame and global blocks)",
        )
        require(self.registers >= 0, f"decoder.registers={self.registers} must not be negative")
        check_cross_frame_heads("decoder", self.cross_frame_heads, self.heads)


@dataclass(frozen=True)
class TaskDecoderConfig:
    """The per-frame decoders behind points, confidence and camera (no qk-norm, no LayerScale)."""

    width: int
    depth: int
    heads: int
    camera_width: int
    """Output width of the camera decoder = width of the camera head (released: 512)."""
    levels: tuple[int, ...] = (1, 2, 3, 4)
    """Indices of the blocks whose outputs are handed to the flow heads, in rising order.

    Released: the last four of five blocks. A small model with fewer blocks names fewer levels
    (one to four); nothing is repeated to make up four.
    """
    mlp_ratio: float = 4.0

    def __post_init__(self) -> None:
        check_width("tasks", self.width, self.heads, 4)
        require(self.depth >= 1, f"tasks.depth={self.depth} must be at least 1")
        require(self.camera_width >= 1, f"tasks.camera_width={self.camera_width} must be positive")
        levels = self.levels
        require(
            1 <= len(levels) <= 4
            and list(levels) == sorted(set(levels))
            and all(0 <= level < self.depth for level in levels),
            f"tasks.levels={list(levels)} must name one to four different blocks in rising order "
            f"out of 0..{self.depth - 1} (tasks.depth={self.depth})",
        )


@dataclass(frozen=True)
class Pi3Config:
    """Backbone and geometry heads; the flow head is configured by its formulation.

    The defaults are the released values where a default makes sense.
    """

    patch_size: int
    encoder: EncoderConfig
    decoder: DecoderConfig
    tasks: TaskDecoderConfig
    confidence: str = "own-decoder"
    """own-decoder: a transformer decoder of its own (released).
    shared-decoder: one linear layer on the detached output of the point decoder, nearly free;
    like the released stage 3, a confidence loss then never moves the geometry."""
    attention: str = "sdpa"
    """sdpa: torch's fused attention, right everywhere but here:
    softmax: written out, for models of well under a hundred tokens a frame on a CPU. At the study
    size on one CPU thread the whole step with the fused kernel takes as long in float32 and twice
    as long in bf16, where its backward is slow. Memory is quadratic in the tokens."""
    norm_eps: float = 1e-6
    qk_norm_eps: float = 1e-5
    """The norm inside attention keeps torch's default in the released code, unlike the others."""
    architecture: Literal["pi3"] = "pi3"

    def __post_init__(self) -> None:
        require(self.patch_size >= 1, f"patch_size={self.patch_size} must be at least 1")
        require_choice("confidence", self.confidence, CONFIDENCE_KINDS)
        require_choice("attention", self.attention, ATTENTION_KINDS)

    @property
    def latents(self) -> LatentSizes:
        """Geometry and camera latents are the task decoders', patches the decoder's two blocks."""
        return LatentSizes(
            patch_size=self.patch_size,
            patch_width=2 * self.decoder.width,
            width=self.tasks.width,
            levels=len(self.tasks.levels),
            head_width=self.tasks.width,
        )


def pi3_large() -> Pi3Config:
    """The released size: 1,001,053,694 parameters with the released flow-factored head."""
    return Pi3Config(
        patch_size=14,
        encoder=EncoderConfig(width=1024, depth=24, heads=16, grid=37),
        decoder=DecoderConfig(width=1024, depth=36, heads=16),
        tasks=TaskDecoderConfig(width=1024, depth=5, heads=16, camera_width=512),
    )


def pi3_small() -> Pi3Config:
    """ViT-S width with DINOv2's patch size, for one GPU at 112 to 224 px."""
    return Pi3Config(
        patch_size=14,
        encoder=EncoderConfig(width=384, depth=6, heads=6, grid=16),
        decoder=DecoderConfig(
            width=384, depth=12, heads=6, cross_frame_heads=0.5, tied_query_key=True
        ),
        tasks=TaskDecoderConfig(width=384, depth=4, heads=6, camera_width=256, levels=(0, 1, 2, 3)),
    )


def pi3_study() -> Pi3Config:
    """The small model of the default study: 48 px images, 36 patches a frame, seconds to train.

    One level is handed to the flow heads because points and camera have one block each.
    """
    return Pi3Config(
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
        decoder=DecoderConfig(
            width=64,
            depth=4,
            heads=4,
            registers=1,
            layer_scale=None,
            mlp_ratio=2.0,
            cross_frame_heads=0.5,
            tied_query_key=True,
        ),
        tasks=TaskDecoderConfig(
            width=64, depth=1, heads=4, camera_width=64, levels=(0,), mlp_ratio=2.0
        ),
        confidence="shared-decoder",
        attention="softmax",
    )


def pi3_smoke() -> Pi3Config:
    """Small enough for tests: 32 px images, 16 patches a frame."""
    return Pi3Config(
        patch_size=8,
        encoder=EncoderConfig(
            width=32, depth=1, heads=2, grid=4, class_token=False, registers=0, layer_scale=None
        ),
        decoder=DecoderConfig(
            width=32,
            depth=2,
            heads=2,
            registers=2,
            layer_scale=None,
            cross_frame_heads=0.5,
            tied_query_key=True,
        ),
        tasks=TaskDecoderConfig(width=32, depth=1, heads=2, camera_width=32, levels=(0,)),
        confidence="shared-decoder",
        attention="softmax",
    )
