"""A whole download: every scene of a split, counted, checked and measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from flow3r.data.inspection.conventions import verdict
from flow3r.data.inspection.findings import Findings
from flow3r.data.inspection.frames import (
    SceneCount,
    check_calibration,
    check_names,
    check_pictures,
)
from flow3r.data.inspection.pairs import Views, consistency
from flow3r.data.recorded.framed import framed_geometry
from flow3r.data.scenes import Dataset, Scene
from flow3r.errors import DataError

STRIDES = (1, 5, 20)
"""Frames between the two of a pair."""
THUMBNAIL = 96
"""Pixels of the longer side of the depth maps that are compared."""
BINS = 10
"""Of the covisibility histogram, over [0, 1]."""
MAX_DEPTH_ERROR, HIGH_DEPTH_ERROR = 0.10, 0.03
"""Median relative difference of neighbouring depth maps: wrong from here, doubtful from there."""
LEAST_SHARE = 0.3
"""Share of the pixels on which neighbours must agree."""
FAST = 1.0
"""Median depths per frame: faster cameras have their poses in another unit."""


@dataclass
class SceneReport:
    """What was measured in one scene; lengths in the scene's unit."""

    name: str
    dynamic: bool
    metric: bool
    count: SceneCount = field(default_factory=SceneCount)
    median_depth: float | None = None
    translation_per_frame: float | None = None
    strides: dict[int, dict[str, float | None]] = field(default_factory=dict)
    """Frames apart -> pairs, share, in_view, depth_error, reprojection_px (pixels of the picture);
    None where no pair sees enough of the same."""
    covisibility: list[int] = field(default_factory=list)
    """Pairs by the share of pixels that both frames see, in `BINS` bins over [0, 1]."""
    as_is: float | None = None
    best_alternative: str | None = None
    best_alternative_share: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        count = {**vars(self.count)}
        count["sizes"] = sorted(map(list, count["sizes"]))
        del count["median_depths"]
        strides = {str(stride): measured for stride, measured in self.strides.items()}
        return {**vars(self), "count": count, "strides": strides}


def survey(
    dataset: Dataset, scenes: list[str], most: int, findings: Findings
) -> Iterator[tuple[Scene | None, SceneReport]]:
    """Look over scene after scene; `findings` is filled on the way.

    Names, files, poses of every frame are looked at; pictures and depth maps of at most about
    `most` frames per scene. A scene whose layout is damaged comes as None.
    """
    if not scenes:
        findings.error("count", dataset.name, "the split has no scene")
    for name in scenes:
        try:
            scene = dataset.scene(name)
        except DataError as error:
            findings.error("layout", name, str(error))
            yield None, SceneReport(name, False, False)
            continue
        yield scene, _look(scene, most, findings)


def _look(scene: Scene, most: int, findings: Findings) -> SceneReport:
    report = SceneReport(scene.name, scene.dynamic, scene.metric)
    check_names(scene, findings)
    poses = [check_calibration(scene, frame, report.count, findings) for frame in scene.frames]
    bases, sample = sampled(len(scene.frames), most)
    usable = {
        i
        for i in sample
        if check_pictures(scene, scene.frames[i], report.count, findings) and poses[i] is not None
    }
    if len(report.count.sizes) > 1:
        findings.warn("size", scene.name, f"pictures of several sizes: {report.count.sizes}")
    if report.count.median_depths:
        report.median_depth = float(np.median(report.count.median_depths))
    _check_motion(report, poses, findings)
    pairs = [(i, i + s) for s in STRIDES for i in bases if {i, i + s} <= usable]
    if pairs:
        _measure(scene, pairs, report, findings)
    elif len(usable) > 1:
        findings.warn("consistency", scene.name, "no two frames near each other can be compared")
    return report


def sampled(total: int, most: int) -> tuple[list[int], list[int]]:
    """First frames of the pairs to compare, and all frames to read; everything in short scenes."""
    if total <= most:
        return list(range(total)), list(range(total))
    bases = np.linspace(0, total - 1 - STRIDES[-1], max(1, most // (1 + len(STRIDES))))
    bases = sorted({max(0, int(base)) for base in bases})
    wanted = {i + s for i in bases for s in (0, *STRIDES)}
    return bases, sorted(i for i in wanted if i < total)


def _check_motion(report: SceneReport, poses: list[np.ndarray | None], findings: Findings) -> None:
    steps = [
        float(np.linalg.norm(b[:3, 3] - a[:3, 3]))
        for a, b in pairwise(poses)
        if a is not None and b is not None
    ]
    if not steps:
        return
    report.translation_per_frame = float(np.median(steps))
    if max(steps) == 0:
        findings.warn("pose", report.name, "the camera does not move: all poses are the same place")
    depth = report.median_depth
    if depth and report.translation_per_frame > FAST * depth:
        findings.error(
            "units",
            report.name,
            f"the camera moves {report.translation_per_frame:.3g} per frame at a median depth of "
            f"{depth:.3g}: depth and poses may be in different units",
        )


def _measure(
    scene: Scene, pairs: list[tuple[int, int]], report: SceneReport, findings: Findings
) -> None:
    views, pairs = _views(scene, pairs)
    found = consistency(views)
    per_pixel = max(max(size) for size in report.count.sizes) / THUMBNAIL
    gap = np.array([b - a for a, b in pairs])
    for stride in STRIDES:
        here = torch.from_numpy(gap == stride)
        if here.any():
            report.strides[stride] = {
                "pairs": int(here.sum()),
                "share": float(found.share[here].mean()),
                "in_view": float(found.in_view[here].mean()),
                "depth_error": _nanmedian(found.depth_error[here]),
                "reprojection_px": _nanmedian(found.reprojection_px[here] * per_pixel),
            }
    bins = np.histogram(found.share.numpy(), bins=BINS, range=(0, 1))[0]
    report.covisibility = bins.tolist()
    judged = verdict(views)
    report.as_is = judged.share
    report.best_alternative, report.best_alternative_share = judged.best, judged.best_share
    _judge(report, judged.doubtful, findings)


def _judge(report: SceneReport, doubtful: bool, findings: Findings) -> None:
    if doubtful:
        findings.error(
            "axes",
            report.name,
            f"neighbouring frames agree on {report.as_is:.0%} of their pixels as the data are, on "
            f"{report.best_alternative_share:.0%} if {report.best_alternative}",
        )
    nearest = report.strides[min(report.strides)]
    error, share = nearest["depth_error"], nearest["share"]
    if error is None:
        words = "by depth and poses, neighbouring frames do not look at the same place"
        findings.error("consistency", report.name, words)
        return
    words = (
        f"depth maps of neighbouring frames differ by {error:.1%} in the median and agree on "
        f"{share:.0%} of the pixels"
    )
    if error > MAX_DEPTH_ERROR:
        findings.error("consistency", report.name, words)
    elif error > HIGH_DEPTH_ERROR or share < LEAST_SHARE:
        findings.warn("consistency", report.name, words)


def _views(scene: Scene, pairs: list[tuple[int, int]]) -> tuple[Views, list[tuple[int, int]]]:
    """Thumbnails of those pairs whose frames have the shape of the first one."""
    frames = {i: framed_geometry(scene.frames[i], THUMBNAIL) for pair in pairs for i in pair}
    shape = frames[pairs[0][0]][0].shape
    frames = {i: parts for i, parts in frames.items() if parts[0].shape == shape}
    kept = [pair for pair in pairs if set(pair) <= set(frames)]

    def stacked(part: int) -> torch.Tensor:  # [2, P, ...]
        rows = [np.stack([frames[pair[side]][part] for pair in kept]) for side in (0, 1)]
        return torch.from_numpy(np.stack(rows)).double()

    return Views(stacked(0), stacked(1), stacked(2)), kept


def _nanmedian(values: torch.Tensor) -> float | None:
    known = values[~values.isnan()]
    return float(known.median()) if len(known) else None
