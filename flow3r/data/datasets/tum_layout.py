"""The layout of TUM's RGB-D benchmark, which Bonn's dataset shares.

`<sequence>/rgb.txt`, `depth.txt` (lines `seconds file`), `groundtruth.txt` (lines `seconds tx ty tz
qx qy qz qw`, camera to world). The three are taken at different times: a picture gets the depth map
and the pose nearest in time, if they are within the tolerance, and none otherwise (as TUM's
associate.py, which also pairs each file once only).

Depth: 16-bit PNG, value / 5000 = metres, 0 = none; registered to the pictures.

The published evaluations prepare a selection of frames (MonST3R's scripts): `rgb_90/`,
`groundtruth_90.txt`, for Bonn `depth_110/` too, file by file in the same order. The setting
`selection` ("_90", "_110") reads these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flow3r.config import require
from flow3r.data.readers.calibration import Calibration, fitting
from flow3r.data.readers.depth import read_depth_png
from flow3r.data.readers.images import read_rgb
from flow3r.data.readers.listing import files_in, same_count
from flow3r.data.readers.poses import read_tum
from flow3r.data.readers.times import nearest, read_timed_files, seconds_in_name
from flow3r.data.scenes import Frame

PER_METRE = 5000.0


@dataclass(frozen=True)
class TumSettings:
    """Which frames, and how files of different times are put together."""

    selection: str = ""
    """Ending of a prepared selection, e.g. '_90': rgb_90/, groundtruth_90.txt. Empty: the
    download itself."""
    tolerance: float = 0.02
    """Largest difference in seconds between a picture and its depth map or pose."""

    def __post_init__(self) -> None:
        require(self.tolerance > 0, f"tolerance={self.tolerance} must be above 0")


@dataclass(frozen=True)
class _Together:
    """What belongs to one picture."""

    image: Path
    seconds: float
    depth: Path | None
    pose: np.ndarray | None
    lists: tuple[Path, ...]
    """The files that say what belongs together."""


def read_frames(
    folder: Path,
    settings: TumSettings,
    calibration: Calibration,
    camera_pose: Callable[[np.ndarray], np.ndarray],
) -> tuple[Frame, ...]:
    """The frames of a sequence; `camera_pose` turns a recorded pose into one of the camera."""
    together = _selected(folder, settings) if settings.selection else _associated(folder, settings)
    return tuple(_frame(found, calibration, camera_pose) for found in together)


def _associated(folder: Path, settings: TumSettings) -> list[_Together]:
    lists = tuple(folder / f"{name}.txt" for name in ("rgb", "depth", "groundtruth"))
    times, images = read_timed_files(lists[0])
    depth_times, depths = read_timed_files(lists[1])
    track = read_tum(lists[2])
    result = []
    for seconds, image in zip(times, images):
        index = nearest(depth_times, seconds, settings.tolerance)
        depth = None if index is None else depths[index]
        pose = track.nearest(seconds, settings.tolerance)
        result.append(_Together(image, float(seconds), depth, pose, lists))
    return result


def _selected(folder: Path, settings: TumSettings) -> list[_Together]:
    images = files_in(folder / f"rgb{settings.selection}", "*.png")
    trajectory = folder / f"groundtruth{settings.selection}.txt"
    poses = read_tum(trajectory).world_from_camera
    same_count(f"{trajectory}: poses", poses, f"pictures in rgb{settings.selection}", images)
    depths: list = [None] * len(images)
    depth_folder = folder / f"depth{settings.selection}"
    if depth_folder.is_dir():
        depths = files_in(depth_folder, "*.png")
        same_count(f"{depth_folder}: files", depths, f"in rgb{settings.selection}", images)
    return [
        _Together(image, seconds_in_name(image), depth, pose, (trajectory,))
        for image, depth, pose in zip(images, depths, poses)
    ]


def _frame(
    found: _Together, calibration: Calibration, camera_pose: Callable[[np.ndarray], np.ndarray]
) -> Frame:
    depth = None
    if found.depth is not None:
        read = partial(read_depth_png, found.depth, PER_METRE)
        depth = partial(fitting, read, found.depth, found.image)
    return Frame(
        name=found.image.stem,
        image_source=partial(read_rgb, found.image),
        depth_source=depth,
        intrinsics_source=partial(calibration.of, found.image),
        pose_source=None if found.pose is None else camera_pose(found.pose),
        seconds=found.seconds,
        files=(found.image, *([found.depth] if found.depth else []), *found.lists),
    )
