"""What a benchmark is: a frozen description that decides every number but the prediction."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from flow3r.config import require, to_mapping
from flow3r.evaluation.names import metric


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of a scene are given to the model; `frames.choose_frames` carries it out."""

    rule: Literal["stride", "random", "spread", "listed"] = "stride"
    """stride: every `step`-th from `start`; random: `count` without replacement, in the order
    drawn, from a stream of (seed, scene name); spread: `count` evenly from first to last; listed:
    the indices in `listed`."""
    start: int = 0
    step: int = 1
    count: int = 0
    """At most so many frames (stride; 0 = no limit), or exactly so many (random, spread)."""
    seed: int = 42
    minimum: int = 1
    """Scenes with fewer frames are not part of the benchmark."""
    farthest: float = 0.0
    """Nor are scenes with a camera farther from the origin (reconstructions that failed); 0 = no
    limit."""
    listed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Scene name -> indices; its scenes are the benchmark's."""

    def __post_init__(self) -> None:
        require(self.start >= 0 and self.step >= 1, "frames: start must be >= 0 and step >= 1")
        require(self.count >= 0 and self.minimum >= 1, "frames: count >= 0, minimum >= 1")
        require(self.farthest >= 0, "frames: farthest must be >= 0")
        counted = self.rule in ("random", "spread")
        require(not counted or self.count >= 1, f"frames: rule={self.rule} needs count >= 1")
        listed = self.rule == "listed"
        require(listed == bool(self.listed), "frames: rule=listed and a list come together")


@dataclass(frozen=True)
class SizeRule:
    """The size of the model's input, and the size at which depth and points are compared."""

    width: int = 518
    multiple: int = 14
    """Both sides of the input are multiples of the patch size."""
    rounding: Literal["nearest", "down"] = "nearest"
    fit: Literal["cover", "stretch"] = "cover"
    """cover: one scale for both axes, then cut in the middle; stretch: a scale for each axis."""
    compare: Literal["input", "original"] = "input"
    """input: the truth is resized like the images (depth: nearest pixel), and a prediction of
    another size to that; original: the truth keeps the size of its depth maps."""

    def __post_init__(self) -> None:
        require(1 <= self.multiple <= self.width, "size: 1 <= multiple <= width must hold")
        cut = self.fit == "cover" and self.compare == "original"
        require(not cut, "size: compare=original needs fit=stretch (cover cuts pixels off)")


@dataclass(frozen=True)
class PoseRules:
    """How relative poses are averaged, and the unit of trajectories."""

    pooling: Literal["pairs", "groups", "scenes"] = "scenes"
    """pairs: over all pairs of all scenes (pi3); groups: over the pairs of a group of scenes, then
    over groups (VGGT's categories); scenes: over the pairs of a scene, then over scenes."""
    trajectory_unit: Literal["scene", "spread"] = "scene"
    """scene: the dataset's unit, metres where it is metric; spread: the true camera centres' root
    mean square distance from their mean is 1 (for a pseudo truth without a scale)."""


@dataclass(frozen=True)
class PointRules:
    """Which true points count, and how clouds are compared."""

    min_depth: float = 0.0
    """Exclusive."""
    max_depth: float = 0.0
    """Exclusive; 0 = no limit."""
    icp_unit: Literal["scene", "mean_distance"] = "scene"
    icp_threshold: float = 0.1
    """Largest distance of a correspondence, in `icp_unit`."""
    icp_iterations: int = 30
    normal_neighbours: int = 30
    queries: int = 100_000
    """Points of a scene that ask for their nearest neighbour among *all* points of the other cloud;
    0 = all of them."""

    def __post_init__(self) -> None:
        require(self.icp_threshold > 0, "points: icp_threshold must be positive")
        require(self.icp_iterations >= 0 and self.queries >= 0, "points: counts must be >= 0")
        require(self.normal_neighbours >= 3, "points: a normal needs 3 neighbours")


@dataclass(frozen=True)
class DepthRules:
    """How predicted depth is aligned to the truth, and which pixels count."""

    alignment: Literal["scale_shift", "scale_shift_published", "scale", "median", "metric"] = (
        "scale_shift"
    )
    """`depth_alignment` has one function for each."""
    per: Literal["sequence", "frame"] = "sequence"
    max_depth: float = 0.0
    """True depths from here on do not count; 0 = no limit."""
    clip: float = 0.0
    """Aligned predictions are cut off here; 0 = never."""


@dataclass(frozen=True)
class Protocol:
    """One benchmark. Its config file is `experiments/configs/evaluation/<name>.yaml`."""

    name: str
    version: int
    """Goes up when a rule changes: scores of different versions are not comparable."""
    label: str
    """For tables."""
    family: Literal["static", "dynamic", "depth"]
    dataset: str
    """Name in `flow3r.data.datasets.registry`."""
    metrics: tuple[str, ...]
    """The metrics that are recorded, by canonical name."""
    source: str
    """Where the rules come from, and what is our own choice."""
    split: str = "test"
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the dataset."""
    scenes: tuple[str, ...] = ()
    """Only these scenes of the split; () = all."""
    frames: FrameChoice = field(default_factory=FrameChoice)
    single_frames: bool = False
    """The model sees one frame at a time (mono depth), not the sequence."""
    size: SizeRule = field(default_factory=SizeRule)
    poses: PoseRules = field(default_factory=PoseRules)
    points: PointRules = field(default_factory=PointRules)
    depth: DepthRules = field(default_factory=DepthRules)

    def __post_init__(self) -> None:
        require(bool(self.metrics), f"protocol {self.name}: it has no metrics")
        for name in self.metrics:
            metric(name)
        single = self.single_frames and self.family != "depth"
        require(not single, f"protocol {self.name}: single frames have no poses to compare")

    @property
    def needs_poses(self) -> bool:
        """Whether a frame without a true pose is of no use."""
        return self.family != "depth"

    def input_fingerprint(self, data: str) -> str:
        """16 hex digits of what a model is shown: scenes, frames and size of the dataset `data`.

        `data` is the fingerprint of the dataset. Predictions belong to it.
        """
        shown = ("dataset", "split", "settings", "scenes", "frames", "single_frames", "size")
        return _digest({name: to_mapping(self)[name] for name in shown} | {"data": data})

    def fingerprint(self, data: str) -> str:
        """16 hex digits of everything that decides a score of a given prediction."""
        text = ("label", "source")
        names = [f.name for f in fields(self) if f.name not in text]
        return _digest({name: to_mapping(self)[name] for name in names} | {"data": data})


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
