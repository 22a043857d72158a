"""From a dataset to labelled clips: read, framed, with flow for all pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flow3r.data.recorded.config import DEPTH, RecordedConfig
from flow3r.data.recorded.framed import FramedFrame, Framing, framed
from flow3r.data.recorded.sampling import Candidate, Sampler, candidates, chosen_scenes
from flow3r.data.scenes import Dataset
from flow3r.errors import DataError
from flow3r.geometry.covisibility import depth_agreement
from flow3r.geometry.se3 import relative_pose
from flow3r.streams import numpy_generator
from flow3r.teachers.base import FlowLabels
from flow3r.teachers.registry import make_teacher

_NAMED = 5
"""How many damaged or missing things a message names."""


@dataclass(frozen=True)
class RecordedClip:
    """One clip. World = its first camera; lengths in the unit of the dataset."""

    name: str
    frames: tuple[str, ...]
    images: Tensor  # [N, 3, H, W] uint8
    flow: FlowLabels
    labels: dict[str, Tensor]
    """depth [N, H, W], intrinsics [N, 3, 3], world_from_camera [N, 4, 4], moving [N, H, W] (never
    known: false)."""


@dataclass
class ClipReport:
    """What became of the candidates."""

    clips: list[dict[str, Any]] = field(default_factory=list)
    passed_over: Counter = field(default_factory=Counter)
    """Reason -> candidates without fault that gave no clip."""
    damaged: list[str] = field(default_factory=list)
    """What was wrong with the candidates that were skipped."""
    notes: set[str] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "clips": self.clips,
            "passed_over": dict(sorted(self.passed_over.items())),
            "skipped_as_damaged": len(self.damaged),
            "damage": self.damaged,
            "notes": sorted(self.notes),
        }


def recorded_clips(
    dataset: Dataset,
    config: RecordedConfig,
    pairs: Tensor,
    report: ClipReport,
    device: str | None = None,
) -> Iterator[RecordedClip]:
    """Exactly `config.count` clips; `report` is filled on the way.

    pairs: [P, 2], ordered (source, target). device: of a teacher with a network. Raises DataError
    naming the frame where something is damaged and `on_damage` is `stop`, and where the download
    has too few clips.
    """
    scenes = _readable(dataset, config, report)
    if config.on_damage == "stop":
        check_files(dataset, scenes)
    builder = _Builder(dataset, config, pairs, report, device)
    for candidate in candidates(dataset, scenes, config.seed):
        if len(report.clips) == config.count:
            return
        clip = builder.clip(candidate)
        if clip is not None:
            report.clips.append({"name": clip.name, "frames": list(clip.frames)})
            yield clip
    if len(report.clips) < config.count:
        raise DataError(
            f"{dataset.name}, split {config.split}: {len(report.clips)} clips, but "
            f"count={config.count} were asked for; passed over: {dict(report.passed_over)}, "
            f"damaged: {len(report.damaged)}"
        )


def _readable(dataset: Dataset, config: RecordedConfig, report: ClipReport) -> list[str]:
    """The chosen scenes whose layout is whole; others stop the work or are counted."""
    readable = []
    for name in chosen_scenes(dataset, config):
        try:
            dataset.scene(name)
            readable.append(name)
        except DataError as error:
            if config.on_damage == "stop":
                raise
            report.damaged.append(f"{name}: {error}")
    return readable


def check_files(dataset: Dataset, scenes: list[str]) -> None:
    """Raise DataError where files of the scenes are missing, before anything is read.

    Files are looked up, not opened.
    """
    frames = (f for name in scenes for f in dataset.scene(name).frames)
    missing = [path for frame in frames for path in frame.files if not path.is_file()]
    if missing:
        raise DataError(
            f"{dataset.name}: {len(missing)} files are missing, e.g. "
            f"{', '.join(map(str, missing[:_NAMED]))}; complete the download, or skip the clips "
            "that need them with on_damage=skip"
        )


class _Builder:
    """Makes the clip of one candidate after the other."""

    def __init__(
        self,
        dataset: Dataset,
        config: RecordedConfig,
        pairs: Tensor,
        report: ClipReport,
        device: str | None,
    ):
        self._config, self._pairs, self._report = config, pairs, report
        self._sampler = Sampler(dataset, config)
        self._framing = Framing(config.size, config.centre, config.depth_limit)
        flow = config.flow
        self._teacher = None
        if flow.name != DEPTH:
            self._teacher = make_teacher(flow.name, flow.settings, device)

    def clip(self, candidate: Candidate) -> RecordedClip | None:
        """The clip, or None with its reason in the report."""
        try:
            return self._read(candidate)
        except DataError as error:
            problem = f"{candidate.scene}: {error}"
            if self._config.on_damage == "stop":
                raise DataError(f"{problem} (on_damage=skip leaves such clips out)") from error
            self._report.damaged.append(problem)
            return None

    def _read(self, candidate: Candidate) -> RecordedClip | None:
        chosen = self._sampler.clip(candidate)
        if chosen is None:
            self._report.passed_over["no such frames, or one without a pose"] += 1
            return None
        scene = self._sampler.scene(candidate.scene)
        shares = self._crop_shares(candidate.name)
        frames = [framed(scene.frames[i], self._framing, s) for i, s in zip(chosen, shares)]
        if min((f.depth > 0).mean() for f in frames) < self._config.least_depth_share:
            self._report.passed_over["a frame with too little depth"] += 1
            return None
        images = torch.from_numpy(np.stack([f.image for f in frames])).permute(0, 3, 1, 2)
        labels = _labels(frames)
        return RecordedClip(
            candidate.name,
            tuple(scene.frames[i].name for i in chosen),
            images,
            self._flow(images, labels, scene.dynamic),
            labels,
        )

    def _crop_shares(self, name: str) -> np.ndarray:  # [N]
        low, high = self._config.crop_share
        generator = numpy_generator(self._config.seed, f"recorded-crop/{name}")
        return low + (high - low) * generator.beta(0.5, 0.5, self._config.frames)

    def _flow(self, images: Tensor, labels: dict[str, Tensor], dynamic: bool) -> FlowLabels:
        if self._teacher is not None:
            index = len(self._report.clips)
            return self._teacher.label(images, self._pairs, truth=None, index=index)
        flow = depth_flow(labels, self._pairs, self._config.flow.tolerance)
        if not dynamic:
            return flow
        self._report.notes.add(
            "scenes are dynamic and flow is `depth`: covisibility 0, no flow is learnt from them"
        )
        return FlowLabels(flow.target_px, torch.zeros_like(flow.covisibility))


def depth_flow(labels: dict[str, Tensor], pairs: Tensor, tolerance: float) -> FlowLabels:
    """Rigid flow of a static clip, covisible (1, else 0) where the depth maps agree.

    labels: depth [N, H, W], intrinsics [N, 3, 3], world_from_camera [N, 4, 4]; pairs: [P, 2].
    """
    depth, k, pose = (labels[n].double() for n in ("depth", "intrinsics", "world_from_camera"))
    source, target = pairs.unbind(1)
    target_px, error = depth_agreement(
        depth[source],
        depth[target],
        k[source],
        k[target],
        relative_pose(pose[target], pose[source]),
    )
    return FlowLabels(target_px.float(), (error <= tolerance).float())


def _labels(frames: list[FramedFrame]) -> dict[str, Tensor]:
    pose = torch.from_numpy(np.stack([f.world_from_camera for f in frames]))
    depth = torch.from_numpy(np.stack([f.depth for f in frames]))
    return {
        "depth": depth,
        "intrinsics": torch.from_numpy(np.stack([f.intrinsics for f in frames])).float(),
        # Relative in float64: worlds may be far from the camera.
        "world_from_camera": relative_pose(pose[:1], pose).float(),
        "moving": torch.zeros_like(depth, dtype=torch.bool),
    }
