"""What to take from a folder of videos."""

from __future__ import annotations

from dataclasses import dataclass, field

from flow3r.config import require
from flow3r.teachers.dis import DisConfig


@dataclass(frozen=True)
class VideoConfig:
    """Settings of the video input. Times in seconds, so that frame rates can differ."""

    folder: str
    """A folder of video files (searched with its sub-folders) or one file."""
    content: str = ""
    """`folder_fingerprint` of the files when the run was planned. It identifies the videos, not
    the path; a folder that has changed since is refused. Empty: not checked."""
    size: tuple[int, int] = (64, 64)
    """(height, width) of the clips."""
    frames: int = 4
    """Frames per clip."""
    gap_seconds: float = 0.2
    """Between successive frames of a clip."""
    spacing_seconds: float = 0.5
    """Between the starts of successive clips of one video."""
    max_seconds: float = 60.0
    """Only the beginning of a longer video is used."""
    max_clips: int | None = None
    """At most this many clips, spread over all videos; None: all there are."""
    short_side: int = 192
    """The teacher works at the smallest multiple of `size` with at least this short side, as far
    as the video has the pixels: flow on larger images, reduced afterwards, is markedly better."""
    chain_steps: int = 3
    """Frames of the full rate per gap that the teacher chains over (1: only the clip's own)."""
    min_motion: float = 0.01
    """A clip is static below this motion from its first to its last frame, as a share of the
    short side."""
    motion_quantile: float = 0.9
    """Over the pixels. 0.5 is the median; 0.9 keeps a still camera that watches something move."""
    min_overlap: float = 0.3
    """Share of pixels found again from each frame to the next; less means a cut."""
    teacher: DisConfig = field(default_factory=DisConfig)

    def __post_init__(self) -> None:
        require(min(self.size) >= 16, f"size={self.size}: both sides must be >= 16")
        require(self.frames >= 2, f"frames={self.frames}: must be >= 2")
        for name in ("gap_seconds", "spacing_seconds", "max_seconds"):
            require(getattr(self, name) > 0, f"{name}={getattr(self, name)}: must be > 0")
        for name in ("short_side", "chain_steps"):
            require(getattr(self, name) >= 1, f"{name}={getattr(self, name)}: must be >= 1")
        wanted = self.max_clips
        require(wanted is None or wanted >= 1, f"max_clips={wanted}: must be >= 1 or null")
        for name in ("min_motion", "motion_quantile", "min_overlap"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name}={value}: not in [0, 1]")

    @property
    def clip_seconds(self) -> float:
        """From the first to the last frame of a clip."""
        return (self.frames - 1) * self.gap_seconds
