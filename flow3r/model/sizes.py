"""The sizes that the backbones share: the patch encoder, a block, and what flow heads may read."""

from __future__ import annotations

from dataclasses import dataclass

from flow3r.config import require

ATTENTION_KINDS = ("sdpa", "softmax")


@dataclass(frozen=True)
class LatentSizes:
    """What a formulation needs to know of a model, whatever its backbone."""

    patch_size: int
    patch_width: int
    """Channels of `Latents.patches`."""
    width: int
    """Channels of the geometry and camera latents."""
    levels: int
    """Number of geometry and of camera latents."""
    head_width: int
    """The width of one block, which the sizes of a flow head go by. VGGT's latents are two blocks'
    outputs side by side, pi3's are one's."""


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
        check_width("encoder", self.width, self.heads, 1)
        require(self.depth >= 0, f"encoder.depth={self.depth} must not be negative")
        require(self.grid >= 1, f"encoder.grid={self.grid} must be at least 1")
        require(self.registers >= 0, f"encoder.registers={self.registers} must not be negative")


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


def check_width(where: str, width: int, heads: int, multiple: int) -> None:
    """Raise ConfigError unless `heads` divide `width` into heads of a multiple of `multiple`."""
    require(width >= 1 and heads >= 1, f"{where}: width={width}, heads={heads} must be positive")
    require(
        width % heads == 0 and (width // heads) % multiple == 0,
        f"{where}: width={width} must be divisible by heads={heads}"
        + (f", with a head width that is a multiple of {multiple} (RoPE)" if multiple > 1 else ""),
    )


def check_cross_frame_heads(where: str, share: float, heads: int) -> None:
    """Raise ConfigError unless `share` of `heads` is a whole number of heads."""
    count = share * heads
    require(
        0.0 <= share <= 1.0 and count == int(count),
        f"{where}.cross_frame_heads={share} must be a share in [0, 1] that gives a whole number "
        f"of the {heads} heads",
    )
