"""Settings of training: stages, optimiser, precision, augmentation."""

from __future__ import annotations

from dataclasses import dataclass, field

from flow3r.config import LATER, require, require_choice
from flow3r.training.appearance import AppearanceConfig
from flow3r.training.resolution import SizesConfig

PRECISIONS = ("float32", "bfloat16")
TRAINED = ("everything", "all-but-encoder", "flow-head", "encoder")


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW with warm-up, cosine decay and clipping by global norm."""

    weight_decay: float = 0.05  # pi3; not applied to biases, norms and other vectors
    beta1: float = 0.9
    beta2: float = 0.95  # as pi3's config says (its code falls back to 0.999)
    clip_norm: float = 1.0  # pi3
    final_lr_share: float = 0.01  # the cosine ends at this share of the peak rate

    def __post_init__(self) -> None:
        require(self.weight_decay >= 0, f"weight_decay={self.weight_decay} must not be negative")
        require(self.clip_norm > 0, f"clip_norm={self.clip_norm} must be positive")


@dataclass(frozen=True)
class StageConfig:
    """One leg of training with an optimiser and a schedule of its own."""

    name: str
    steps: int
    lr: float
    warmup_steps: int
    trains: str = "everything"
    """`all-but-encoder`: the patch encoder frozen (pi3); `flow-head`: backbone and geometry heads
    frozen; `encoder`: pretraining's matching stage. What is frozen keeps no activations, as far as
    nothing trained lies before it."""

    def __post_init__(self) -> None:
        require(self.steps >= 0, f"steps={self.steps} must not be negative")
        require(self.lr > 0, f"lr={self.lr} must be positive")
        require(self.warmup_steps >= 0, f"warmup_steps={self.warmup_steps} must not be negative")
        require_choice("trains", self.trains, TRAINED)


@dataclass(frozen=True)
class AugmentationConfig:
    """What is changed about clips from step to step.

    Colours are equal for all frames of a clip up to a small exposure change.
    """

    channel_permutation: bool = True
    gain: float = 0.2  # log-uniform gain per clip and channel, +- this many nats
    frame_gain: float = 0.05  # and per frame
    appearance: AppearanceConfig | None = field(default=None, metadata=LATER)
    """pi3's colour jitter, loss of sharpness and JPEG, of every frame on its own."""
    sizes: SizesConfig | None = field(default=None, metadata=LATER)
    """Every step draws the size and shape of its batch; None: clips stay as they are stored."""

    def __post_init__(self) -> None:
        require(self.gain >= 0, f"gain={self.gain} must not be negative")
        require(self.frame_gain >= 0, f"frame_gain={self.frame_gain} must not be negative")


@dataclass(frozen=True)
class TrainingConfig:
    """The whole schedule of one run."""

    stages: tuple[StageConfig, ...]
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    precision: str = "float32"  # of the backbone; heads and losses are always float32
    compile: bool = False
    """torch.compile for the transformer blocks. Part of the settings because it changes last bits.
    """

    def __post_init__(self) -> None:
        require_choice("precision", self.precision, PRECISIONS)
        names = [s.name for s in self.stages]
        require(len(names) == len(set(names)), f"stage names must differ, got {names}")

    @property
    def total_steps(self) -> int:
        """Optimiser steps over all stages."""
        return sum(s.steps for s in self.stages)

    def locate(self, step: int) -> tuple[StageConfig, int]:
        """The stage of global step `step` and the stage's first global step."""
        start = 0
        for stage in self.stages:
            if step < start + stage.steps:
                return stage, start
            start += stage.steps
        raise IndexError(f"step {step} lies behind the last stage ({start} steps)")
