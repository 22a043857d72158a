"""Bonn: as TUM, but the trajectory is the marker's; calibration / 10."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, Written
from dataset_layouts.tum_dynamics import write_selection, write_sequence
from scipy.linalg import polar

NAME = "bonn"
SCENE = "rgbd_bonn_balloon2"
K = np.array([[54.2822841, 0, 31.609352 - 0.5], [0, 54.257687, 23.8256098 - 0.5], [0, 0, 1]])


def marker_pose(camera: np.ndarray) -> np.ndarray:
    """T of camera = T_ros^-1 T T_ros T_m, T_m without its scale."""
    ros = np.array([[-1.0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    published = np.array(
        [
            [1.0157, 0.1828, -0.2389, 0.0113],
            [0.0009, -0.8431, -0.6413, -0.0098],
            [-0.3009, 0.6147, -0.8085, 0.0111],
            [0, 0, 0, 1.0],
        ]
    )
    published[:3, :3] = polar(published[:3, :3])[0]
    return ros @ camera @ np.linalg.inv(published) @ np.linalg.inv(ros)


def write(folder: Path, clip: Clip) -> Written:
    frames = write_sequence(folder / SCENE, clip, K, marker_pose)
    (folder / "rgbd_bonn_static/rgb").mkdir(parents=True)
    lists = {
        "all": [SCENE, "rgbd_bonn_static"],
        "static": ["rgbd_bonn_static"],
        "video_depth": [SCENE],
    }
    return Written(SCENE, frames, lists, dynamic=True, depth_step=2e-4, pose_error=1e-7)


def write_selected(folder: Path, clip: Clip) -> Written:
    """The published evaluations' view: a selection, the poses as they are recorded."""
    frames = write_selection(folder / SCENE, clip, K, lambda pose: pose)
    lists = {"all": [SCENE], "static": [], "video_depth": [SCENE]}
    settings = {"selection": "_90", "poses": "marker"}
    return Written(SCENE, frames, lists, settings, True, depth_step=2e-4, pose_error=1e-7)


VARIANTS = {"download": write, "selection": write_selected}
_DEPTH = f"{SCENE}/depth/1305031102.111000.png"
DAMAGES = {
    "missing depth": damage.removed(_DEPTH),
    "unreadable image": damage.unreadable(f"{SCENE}/rgb/1305031102.100000.png"),
    "wrong size": damage.codes_of_size(_DEPTH, (48, 48)),
    "no trajectory": damage.text(f"{SCENE}/groundtruth.txt", "# nothing\n"),
    "NaN pose": damage.text(
        f"{SCENE}/groundtruth.txt", "1305031102.1 nan 0 0 0 0 0 1\n", "pose of frame"
    ),
}
