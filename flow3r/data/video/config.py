"""What to take from a folder of videos."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from flow3r.config import require

RULES_VERSION = 1
"""Of the code that applies the settings; results of another version are not used again."""


@dataclass(frozen=True)
class IngestConfig:
    """Settings of the ingest. Times in seconds, so that frame rates can differ."""

    frames: int = 4
    """Frames per clip."""
    gap_seconds: float = 0.2
    """Between successive frames of a clip; a slower video gives its successive frames."""
    spacing_seconds: float = 0.5
    """Between the starts of successive clips of one shot."""
    chain_steps: int = 3
    """Frames of the full rate per gap that a teacher may chain over (1: only the clip's own)."""
    max_seconds: float | None = None
    """Only the beginning of a longer video is used; null: all of it."""
    image_rate: float = 30.0
    """Frames per second of image sequences, whose files do not say."""
    min_side: int = 32
    """Pictures with a shorter side are too small."""
    min_motion: float = 0.01
    """A clip is static below this motion from its first to its last frame, as a share of the
    short side."""
    motion_quantile: float = 0.9
    """Over the pixels. 0.5 is the median; 0.9 keeps a still camera that watches something move."""
    min_overlap: float = 0.3
    """Share of pixels found again from each frame of a clip to the next; less is too fast."""
    min_brightness: float = 0.03
    """A clip with a darker frame is black. Mean grey level, 0 to 1."""
    min_contrast: float = 0.02
    """A clip with a plainer frame is blank. Standard deviation of the grey level, 0 to 1."""
    cut_ratio: float = 3.0
    """A shot begins where the content changes this many times more than in the frames around."""
    cut_content: float = 15.0
    """And by at least this much (mean change of hue, saturation and value, 0 to 255)."""

    def __post_init__(self) -> None:
        require(self.frames >= 2, f"frames={self.frames}: must be >= 2")
        require(self.chain_steps >= 1, f"chain_steps={self.chain_steps}: must be >= 1")
        require(self.min_side >= 16, f"min_side={self.min_side}: must be >= 16")
        for name in ("gap_seconds", "spacing_seconds", "image_rate", "cut_ratio"):
            require(getattr(self, name) > 0, f"{name}={getattr(self, name)}: must be > 0")
        limit = self.max_seconds
        require(limit is None or limit > 0, f"max_seconds={limit}: must be > 0 or null")
        require(self.cut_content >= 0, f"cut_content={self.cut_content}: must be >= 0")
        for name in (
            "min_motion",
            "motion_quantile",
            "min_overlap",
            "min_brightness",
            "min_contrast",
        ):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name}={value}: not in [0, 1]")

    @property
    def clip_seconds(self) -> float:
        """From the first to the last frame of a clip."""
        return (self.frames - 1) * self.gap_seconds

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of the settings and of the rules that apply them."""
        text = json.dumps([RULES_VERSION, dataclasses.asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
