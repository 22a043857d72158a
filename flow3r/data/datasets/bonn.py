"""Bonn RGB-D Dynamic (Palazzolo et al., IROS 2019): people and objects moving before a camera.

`rgbd_bonn_<name>/` as `tum_layout` says; 640 x 480. Depth: value / 5000 = metres, registered.

Poses: `groundtruth.txt` holds the motion-capture marker's pose, not the camera's. The dataset's
page gives the camera's: T_ros^-1 T T_ros T_m, with T_ros a change of axes and T_m the camera in the
marker. T_m as published is a rotation times 1.059; the rotation nearest to it is used here, and
depth is left as it is (whether the factor belongs to the depth, only the data can say: `inspect`
measures which fits). The published evaluations compare with the marker's poses as they stand:
`poses=marker`. Both give the same rotation errors; the camera is 2 cm from the marker.

The small radial distortion (0.0399, -0.0993) is neglected, as the published evaluations do.

Splits: `all`; `static`: the two static sequences; `video_depth`: the five sequences of the video
depth benchmark (MonST3R).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.datasets.tum_layout import TumSettings, read_frames
from flow3r.data.readers.calibration import Calibration
from flow3r.data.readers.listing import folders_in
from flow3r.data.scenes import Scene

LAYOUT = Layout(
    name="bonn",
    files="rgbd_bonn_<name>/ with rgb.txt, depth.txt, groundtruth.txt",
    depth="m x 5000, 16-bit PNG, 0 = none",
    poses="marker to world, TUM trajectory; the camera's by the published transforms",
    splits="all; static (2 sequences); video_depth (5 sequences)",
    motion="dynamic, but for static and static_close_far",
)
CAMERA = Calibration(542.822841, 542.576870, 315.593520, 237.756098, 480, 640)
ROS = np.array([[-1.0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
MARKER_FROM_CAMERA = np.array(
    [
        [1.0157, 0.1828, -0.2389, 0.0113],
        [0.0009, -0.8431, -0.6413, -0.0098],
        [-0.3009, 0.6147, -0.8085, 0.0111],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
_STATIC = ("rgbd_bonn_static", "rgbd_bonn_static_close_far")
_VIDEO_DEPTH = ("balloon2", "crowd2", "crowd3", "person_tracking2", "synchronous")


@dataclass(frozen=True)
class Settings(TumSettings):
    """As the layout's, and whose poses."""

    poses: Literal["camera", "marker"] = "camera"


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All sequences below `path`; names are the folders'."""
    sequences = tuple(folders_in(path, "rgbd_bonn_*/rgb*"))
    sequences = tuple(dict.fromkeys(name.split("/")[0] for name in sequences))
    depth = tuple(name for name in sequences if name.removeprefix("rgbd_bonn_") in _VIDEO_DEPTH)
    static = tuple(name for name in sequences if name in _STATIC)
    lists = {"all": sequences, "static": static, "video_depth": depth}
    return RecordedDataset(LAYOUT, path, settings, lists, partial(_scene, path, settings))


def _scene(path: Path, settings: Settings, name: str) -> Scene:
    pose = camera_pose if settings.poses == "camera" else np.asarray
    return Scene(name, read_frames(path / name, settings, CAMERA, pose), name not in _STATIC, True)


def camera_pose(marker: np.ndarray) -> np.ndarray:
    """The camera's pose [4, 4] of the recorded one (the dataset's page; rotation normalised)."""
    offset = MARKER_FROM_CAMERA.copy()
    left, _, right = np.linalg.svd(offset[:3, :3])
    offset[:3, :3] = left @ right
    return ROS.T @ marker @ ROS @ offset
