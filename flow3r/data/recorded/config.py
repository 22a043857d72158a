"""Settings of recorded clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from flow3r.config import require, require_choice
from flow3r.data.datasets.registry import MODULES
from flow3r.data.framing import Size
from flow3r.teachers.registry import NEED_TRUTH, make_teacher

DEPTH = "depth"
"""The name of the flow that depth, poses and intrinsics give where nothing moves."""
ON_DAMAGE = ("stop", "skip")
CENTRES = ("principal-point", "image")


@dataclass(frozen=True)
class StrideSampling:
    """Frames at even distances in the list of frames; the distance is drawn per clip."""

    by: Literal["stride"] = "stride"
    stride: tuple[int, int] = (1, 1)
    """Least and most frames from one frame of the clip to the next."""

    def __post_init__(self) -> None:
        low, high = self.stride
        require(1 <= low <= high, f"stride={self.stride} must be 1 <= least <= most")


@dataclass(frozen=True)
class TimeSampling:
    """Frames at even distances in time; the distance is drawn per clip, log-uniformly."""

    by: Literal["time"] = "time"
    seconds: tuple[float, float] = (0.5, 0.5)
    """Least and most seconds from one frame of the clip to the next."""
    tolerance: float = 0.25
    """How far, as a share of the distance, a frame may lie from where it should."""

    def __post_init__(self) -> None:
        low, high = self.seconds
        require(0 < low <= high, f"seconds={self.seconds} must be 0 < least <= most")
        require(0 < self.tolerance < 0.5, f"tolerance={self.tolerance} must lie in (0, 0.5)")


@dataclass(frozen=True)
class CovisibilitySampling:
    """Every frame shares so much of its view with the one before it.

    The share is that of the pixels with depth whose point the other frame's depth map confirms
    (`shared_view`, on thumbnails), the smaller one of both directions. The next frame is drawn
    from the frames up to `reach` behind the last one: the first, in random order, that fits.
    """

    by: Literal["covisibility"] = "covisibility"
    share: tuple[float, float] = (0.25, 0.8)
    reach: int = 60
    """Frames."""
    tolerance: float = 0.05
    """Relative depth difference up to which two maps agree."""

    def __post_init__(self) -> None:
        low, high = self.share
        require(0 <= low < high <= 1, f"share={self.share} must be 0 <= least < most <= 1")
        require(self.reach >= 1, f"reach={self.reach} must be at least 1")
        require(0 < self.tolerance < 1, f"tolerance={self.tolerance} must lie in (0, 1)")


Sampling = StrideSampling | TimeSampling | CovisibilitySampling


@dataclass(frozen=True)
class FlowSource:
    """Where the flow between a clip's frames comes from."""

    name: str = DEPTH
    """`depth`: rigid flow, covisible where the depth maps agree; clips of dynamic scenes get
    covisibility 0, so no flow is learnt from them. Or a teacher: dis, raft, ufm."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the teacher."""
    tolerance: float = 0.05
    """Of `depth`: relative difference up to which two depth maps agree."""

    def __post_init__(self) -> None:
        require(0 < self.tolerance < 1, f"tolerance={self.tolerance} must lie in (0, 1)")
        if self.name == DEPTH:
            require(not self.settings, f"flow {DEPTH!r} has no teacher settings: {self.settings}")
            return
        require(
            self.name not in NEED_TRUTH,
            f"flow={self.name!r} needs the truth of a generated clip; recorded ones take {DEPTH!r} "
            "or a teacher that looks at pictures (dis, raft, ufm)",
        )
        make_teacher(self.name, self.settings)


@dataclass(frozen=True)
class RecordedConfig:
    """Labelled clips of a dataset as it was downloaded."""

    dataset: str
    """One of `flow3r.data.datasets.registry.MODULES`."""
    folder: str
    """Where the download lies."""
    split: str
    """An official split of the dataset; `all` where it has none."""
    count: int
    """Clips."""
    frames: int
    size: Size
    """(height, width) of the clips."""
    scenes: tuple[str, ...] = ()
    """Only these scenes of the split; empty: all of them."""
    seed: int = 0
    sampling: Sampling = field(default_factory=StrideSampling)
    flow: FlowSource = field(default_factory=FlowSource)
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the dataset."""
    centre: str = "principal-point"
    """What the crop is symmetrical about: models expect the principal point in the middle."""
    crop_share: tuple[float, float] = (1.0, 1.0)
    """Sides of the crop as a share of the largest one, drawn for every frame from Beta(1/2, 1/2)
    over this range; pi3 trains with (0.9, 1), which varies the focal length."""
    depth_limit: float = 0.0
    """Depths beyond it count as none, in the dataset's unit; 0: no limit."""
    least_depth_share: float = 0.1
    """A frame with depth at fewer of its pixels is not used."""
    on_damage: str = "stop"
    """What happens at a frame that cannot be read or is wrong: `stop` with its name, or `skip` the
    clip and count it."""
    content: str = ""
    """Fingerprint of the download; it identifies the data, the folder does not. Filled when
    composing."""

    def __post_init__(self) -> None:
        require_choice("dataset", self.dataset, MODULES)
        require(self.count > 0, f"count={self.count} must be positive")
        require(self.frames >= 2, f"frames={self.frames} must be at least 2")
        require(min(self.size) >= 8, f"size={self.size} must be at least 8 x 8")
        require_choice("centre", self.centre, CENTRES)
        require_choice("on_damage", self.on_damage, ON_DAMAGE)
        low, high = self.crop_share
        require(0 < low <= high <= 1, f"crop_share={self.crop_share} must be 0 < low <= high <= 1")
        require(self.depth_limit >= 0, f"depth_limit={self.depth_limit} must not be negative")
        require(
            0 <= self.least_depth_share <= 1,
            f"least_depth_share={self.least_depth_share} must lie in [0, 1]",
        )
