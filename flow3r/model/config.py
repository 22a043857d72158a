"""Every size of the reconstruction model, and the named presets.

The paper's model (released Flow3r, pi3 backbone) and the small ones are the same code with other
numbers. Values of the released code are the defaults where a default makes sense.
"""

from __future__ import annotations

from dataclasses import dataclass

from flow3r.config import require, require_choice

ATTENTION_KINDS = ("sdpa", "softmax")
CONFIDENCE_KINDS = ("own-decoder", "shared-decoder")


@dataclass(frozen=True)
class EncoderConfig:
    """The per-frame patch encoder: a DINOv2-like ViT (released: ViT-L/14 with 4 registers)."""

    width: int
    depth: int
    heads: int
    grid: int
    """Side of the square grid of learned position embeddings; resized to other grids."""
    class_token: bool = True
    registers: int = 4
    mlp_ratio: float = 4.0
    layer_scale: float | None = 1.0

    def __post_init__(self) -> None:
        _check_width("encoder", self.width, self.heads, 1)
        require(self.depth >= 0, f"encoder.depth={self.depth} must not be negative")
        require(self.grid >= 1, f"encoder.grid={self.grid} must be at least 1")
        require(self.registers >= 0, f"encoder.registers={self.registers} must not be negative")


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
        _check_width("decoder", self.width, self.heads, 4)
        require(
            self.depth >= 2 and self.depth % 2 == 0,
            f"decoder.depth={self.depth} must be even and at least 2 (frame and global blocks)",
        )
        require(self.registers >= 0, f"decoder.registers={self.registers} must not be negative")
        count = self.cross_frame_heads * self.heads
        require(
            0.0 <= self.cross_frame_heads <= 1.0 and count == int(count),
            f"decoder.cross_frame_heads={self.cross_frame_heads} must be a share in [0, 1] that "
            f"gives a whole number of the {self.heads} heads",
        )


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
        _check_width("tasks", self.width, self.heads, 4)
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
class ModelConfig:
    """Backbone and geometry heads; the flow head is configured by its formulation."""

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

    def __post_init__(self) -> None:
        require(self.patch_size >= 1, f"patch_size={self.patch_size} must be at least 1")
        require_choice("confidence", self.confidence, CONFIDENCE_KINDS)
        require_choice("attention", self.attention, ATTENTION_KINDS)


@dataclass(frozen=True)
class BlockConfig:
    """One transformer block, as `flow3r.model.blocks.Block` needs it."""

    width: int
    heads: int
    mlp_ratio: float
    norm_eps: float
    attention: str
    layer_scale: float | None = None
    qk_norm_eps: float | None = None
    """None: no normalisation of queries and keys."""


def pi3_large() -> ModelConfig:
    """The released size: 1,001,053,694 parameters with the released flow-factored head."""
    return ModelConfig(
        patch_size=14,
        encoder=EncoderConfig(width=1024, depth=24, heads=16, grid=37),
        decoder=DecoderConfig(width=1024, depth=36, heads=16),
        tasks=TaskDecoderConfig(width=1024, depth=5, heads=16, camera_width=512),
    )


def pi3_study() -> ModelConfig:
    """The small model of the default study: 48 px images, 36 patches a frame, seconds to train.

    One level is handed to the flow heads because points and camera have one block each.
    """
    return ModelConfig(
        patch_size=8,
        encoder=EncoderConfig(
            width=64, depth=1, heads=4, grid=6, class_token=False, registers=0, layer_scale=None
        ),
        decoder=DecoderConfig(
            width=64,
            depth=4,
            heads=4,
            registers=1,
            layer_scale=None,
            cross_frame_heads=0.5,
            tied_query_key=True,
        ),
        tasks=TaskDecoderConfig(width=64, depth=1, heads=4, camera_width=64, levels=(0,)),
        confidence="shared-decoder",
        attention="softmax",
    )


PRESETS = {"pi3-large": pi3_large, "pi3-study": pi3_study}


def _check_width(where: str, width: int, heads: int, multiple: int) -> None:
    require(width >= 1 and heads >= 1, f"{where}: width={width}, heads={heads} must be positive")
    require(
        width % heads == 0 and (width // heads) % multiple == 0,
        f"{where}: width={width} must be divisible by heads={heads}"
        + (f", with a head width that is a multiple of {multiple} (RoPE)" if multiple > 1 else ""),
    )
