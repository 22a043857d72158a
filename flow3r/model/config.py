"""Which model, and its sizes: one config class per backbone, told apart by `architecture`.

A mapping without `architecture` describes a pi3 model.
"""

from __future__ import annotations

from flow3r.model.pi3.config import (
    DecoderConfig,
    Pi3Config,
    TaskDecoderConfig,
    pi3_large,
    pi3_small,
    pi3_smoke,
    pi3_study,
)
from flow3r.model.sizes import BlockConfig, EncoderConfig, LatentSizes
from flow3r.model.vggt.config import (
    AggregatorConfig,
    DenseHeadConfig,
    PoseHeadConfig,
    VggtConfig,
    vggt_large,
    vggt_small,
    vggt_smoke,
    vggt_study,
)

__all__ = [
    "PRESETS",
    "AggregatorConfig",
    "BlockConfig",
    "DecoderConfig",
    "DenseHeadConfig",
    "EncoderConfig",
    "LatentSizes",
    "ModelConfig",
    "Pi3Config",
    "PoseHeadConfig",
    "TaskDecoderConfig",
    "VggtConfig",
    "pi3_large",
    "pi3_small",
    "pi3_smoke",
    "pi3_study",
    "vggt_large",
    "vggt_small",
    "vggt_smoke",
    "vggt_study",
]

ModelConfig = Pi3Config | VggtConfig

PRESETS = {
    "pi3-large": pi3_large,
    "pi3-small": pi3_small,
    "pi3-smoke": pi3_smoke,
    "pi3-study": pi3_study,
    "vggt-large": vggt_large,
    "vggt-small": vggt_small,
    "vggt-smoke": vggt_smoke,
    "vggt-study": vggt_study,
}
