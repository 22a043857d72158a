"""TUM: pictures, depth and motion capture, each with its own times; freiburg3's camera / 10."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import quaternion, save_codes, save_image, save_text, somewhere

NAME = "tum_dynamics"
SIZE = (48, 64)
SCENE = "rgbd_dataset_freiburg3_walking_xyz"
K = np.array([[53.54, 0, 32.06 - 0.5], [0, 53.92, 24.81 - 0.5], [0, 0, 1]])
START = 1305031102.0


def trajectory_line(seconds: float, pose: np.ndarray) -> str:
    numbers = [*pose[:3, 3], *quaternion(pose[:3, :3])]
    return f"{seconds:.6f} " + " ".join(f"{value:.9f}" for value in numbers)


def write_sequence(folder: Path, clip: Clip, k: np.ndarray, recorded) -> list[FrameTruth]:
    """rgb/, depth/ and the three lists; `recorded(pose)` is what groundtruth.txt holds.

    The last picture has neither a depth map nor a pose near it in time.
    """
    images, depth = clip.view(k, SIZE)
    lists = {"rgb": ["# color images"], "depth": ["# depth maps"], "groundtruth": ["# trajectory"]}
    frames = []
    for n in range(len(clip)):
        seconds = round(START + n / 10, 6)
        pose = somewhere() @ clip.world_from_camera[n]
        stamps = f"{seconds:.6f}", f"{seconds + 0.011:.6f}"
        save_image(folder / f"rgb/{stamps[0]}.png", images[n])
        save_codes(folder / f"depth/{stamps[1]}.png", depth[n] * 5000)
        lists["rgb"].append(f"{stamps[0]} rgb/{stamps[0]}.png")
        lists["depth"].append(f"{stamps[1]} depth/{stamps[1]}.png")
        lists["groundtruth"] += [
            trajectory_line(seconds - 0.014, somewhere()),  # near, but not the nearest
            trajectory_line(seconds + 0.004, recorded(pose)),
        ]
        frames.append(FrameTruth(stamps[0], images[n], depth[n], k, pose, seconds))
    late = f"{START + 5:.6f}"
    save_image(folder / f"rgb/{late}.png", images[0])
    lists["rgb"].append(f"{late} rgb/{late}.png")
    frames.append(FrameTruth(late, images[0], None, k, None, START + 5))
    for name, lines in lists.items():
        save_text(folder / f"{name}.txt", "\n".join(lines) + "\n")
    return frames


def write_selection(folder: Path, clip: Clip, k: np.ndarray, recorded) -> list[FrameTruth]:
    """rgb_90/, depth_90/, groundtruth_90.txt: the same number of each, in the same order."""
    images, depth = clip.view(k, SIZE)
    frames, lines = [], []
    for n in range(len(clip)):
        seconds = round(START + n / 10, 6)
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(folder / f"rgb_90/{seconds:.6f}.png", images[n])
        save_codes(folder / f"depth_90/{seconds + 0.2:.6f}.png", depth[n] * 5000)
        lines.append(trajectory_line(seconds + 0.3, recorded(pose)))
        frames.append(FrameTruth(f"{seconds:.6f}", images[n], depth[n], k, pose, seconds))
    save_text(folder / "groundtruth_90.txt", "\n".join(lines) + "\n")
    return frames


def write(folder: Path, clip: Clip) -> Written:
    frames = write_sequence(folder / SCENE, clip, K, lambda pose: pose)
    (folder / "rgbd_dataset_freiburg1_desk").mkdir()
    lists = {"all": ["rgbd_dataset_freiburg1_desk", SCENE], "dynamic": [SCENE]}
    return Written(SCENE, frames, lists, dynamic=True, depth_step=2e-4, pose_error=1e-7)


def write_selected(folder: Path, clip: Clip) -> Written:
    frames = write_selection(folder / SCENE, clip, K, lambda pose: pose)
    lists = {"all": [SCENE], "dynamic": [SCENE]}
    settings = {"selection": "_90"}
    return Written(SCENE, frames, lists, settings, True, depth_step=2e-4, pose_error=1e-7)


VARIANTS = {"download": write, "selection": write_selected}
_PICTURE = f"{SCENE}/rgb/1305031102.100000.png"
_DEPTH = f"{SCENE}/depth/1305031102.111000.png"
DAMAGES = {
    "missing depth": damage.removed(_DEPTH),
    "missing image": damage.removed(_PICTURE),
    "unreadable image": damage.unreadable(_PICTURE),
    "wrong size": damage.codes_of_size(_DEPTH, (48, 48)),
    "missing trajectory": damage.removed(f"{SCENE}/groundtruth.txt"),
    "NaN pose": damage.text(
        f"{SCENE}/groundtruth.txt", "1305031102.1 nan 0 0 0 0 0 1\n", "pose of frame"
    ),
    "short line": damage.text(f"{SCENE}/groundtruth.txt", "1305031102.1 0 0 0\n"),
    "odd list": damage.text(f"{SCENE}/rgb.txt", "first rgb/1.png\n"),
}
