"""One frame at a time: what is missing, unreadable or of the wrong kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from flow3r.data.inspection.findings import Findings
from flow3r.data.readers.intrinsics import checked_intrinsics
from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError

METRIC_DEPTH = (0.05, 300.0)
"""Metres between which the median depth of a metric scene lies: a hand's breadth to a street."""
LEAST_DEPTH_SHARE = 0.01
ASPECT_TOLERANCE = 0.02
CENTRE_TOLERANCE = 0.25
"""Of the side: how far a principal point usually lies from the middle at most."""


@dataclass
class SceneCount:
    """What a scene has, and what it lacks by the dataset's own account (None, not damage)."""

    frames: int = 0
    without_pose: int = 0
    without_depth: int = 0
    without_intrinsics: int = 0
    missing_files: int = 0
    looked_at: int = 0
    """Frames whose pictures and depth maps were read."""
    sizes: set[tuple[int, int]] = field(default_factory=set)
    """(height, width) of the pictures looked at."""
    median_depths: list[float] = field(default_factory=list)


def check_names(scene: Scene, findings: Findings) -> None:
    """Frame names that occur twice, and times that run backwards."""
    names = [frame.name for frame in scene.frames]
    if not names:
        findings.error("count", scene.name, "has no frame")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(names) < 5000 else []
    if twice or len(set(names)) < len(names):
        findings.error("count", scene.name, f"frame names occur twice, e.g. {twice[:3]}")
    times = [frame.seconds for frame in scene.frames if frame.seconds is not None]
    if (np.diff(times) <= 0).any():
        findings.error("time", scene.name, "times of the frames do not rise")


def check_calibration(
    scene: Scene, frame: Frame, count: SceneCount, findings: Findings
) -> np.ndarray | None:
    """Files, pose and intrinsics of a frame, without decoding pictures; its pose if it has one."""
    where = f"{scene.name}/{frame.name}"
    count.frames += 1
    for path in frame.files:
        if not path.is_file():
            count.missing_files += 1
            findings.error("missing-file", where, f"{path} is not there")
    count.without_pose += frame.pose_source is None
    count.without_depth += frame.depth_source is None
    count.without_intrinsics += frame.intrinsics_source is None
    pose = attempt(lambda: frame.world_from_camera, frame, "pose", where, findings)
    if pose is None:
        count.without_pose += frame.pose_source is not None
    return pose


def check_pictures(scene: Scene, frame: Frame, count: SceneCount, findings: Findings) -> bool:
    """Picture, depth and calibration of a frame together; whether all are usable."""
    where = f"{scene.name}/{frame.name}"
    count.looked_at += 1
    image = attempt(frame.image, frame, "image", where, findings)
    depth = attempt(frame.depth, frame, "depth", where, findings)
    k = attempt(lambda: frame.intrinsics, frame, "intrinsics", where, findings)
    if image is not None:
        count.sizes.add(image.shape[:2])
        if image.std() < 1:
            findings.warn("image", where, f"the picture is of one colour ({image.mean():.0f})")
    if depth is not None:
        _check_depth(scene, depth, where, count, findings)
    if image is not None and depth is not None:
        ratio = depth.shape[1] * image.shape[0] / (depth.shape[0] * image.shape[1])
        if abs(ratio - 1) > ASPECT_TOLERANCE:
            findings.error(
                "size", where, f"depth {depth.shape} has not the shape of image {image.shape[:2]}"
            )
    if image is not None and k is not None:
        k = _check_intrinsics(k, image.shape[:2], where, findings)
    return image is not None and depth is not None and k is not None


def attempt(
    read: Callable[[], np.ndarray | None],
    frame: Frame,
    kind: str,
    where: str,
    findings: Findings,
) -> np.ndarray | None:
    """What `read` gives, or None and a finding. A file already reported as missing is none."""
    try:
        return read()
    except DataError as error:
        if all(path.is_file() for path in frame.files):
            findings.error(kind, where, str(error))
        return None


def _check_depth(
    scene: Scene, depth: np.ndarray, where: str, count: SceneCount, findings: Findings
) -> None:
    known = depth > 0
    share = float(known.mean())
    if share < LEAST_DEPTH_SHARE:
        findings.error("depth", where, f"only {share:.1%} of the pixels have depth")
        return
    median = float(np.median(depth[known]))
    count.median_depths.append(median)
    low, high = METRIC_DEPTH
    if scene.metric and not low <= median <= high:
        findings.error(
            "units", where, f"median depth {median:.3g} m: is the depth scale another one?"
        )


def _check_intrinsics(
    k: np.ndarray, size: tuple[int, int], where: str, findings: Findings
) -> np.ndarray | None:
    try:
        k = checked_intrinsics(k, "intrinsics")
    except DataError as error:
        findings.error("intrinsics", where, str(error))
        return None
    height, width = size
    off = np.abs(k[:2, 2] - ((width - 1) / 2, (height - 1) / 2)) / (width, height)
    if (off > CENTRE_TOLERANCE).any():
        findings.error(
            "intrinsics",
            where,
            f"principal point {k[:2, 2].round(1).tolist()} is far from the middle of a {width} x "
            f"{height} picture: is the calibration of another resolution?",
        )
    return k
