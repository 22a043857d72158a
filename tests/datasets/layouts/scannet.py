"""ScanNet's export: colour and depth with sizes and calibrations of their own; lost tracking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import save_codes, save_image, save_rows, save_text, somewhere

NAME = "scannet"
SIZE, DEPTH_SIZE = (72, 96), (36, 48)
SCENE = "scene0011_00"
K = np.array([[85.5, 0, 48.25], [0, 85.75, 35.0], [0, 0, 1]])
SENSOR = np.array([[43.5, 0, 23.75], [0, 43.25, 17.5], [0, 0, 1]])


def write(folder: Path, clip: Clip) -> Written:
    """`scans/<scene>` with the official lists beside it."""
    place = folder / "scans" / SCENE
    frames = []
    for n, (image, codes, depth, pose) in enumerate(_recorded(place, clip)):
        save_image(place / f"color/{9 + n}.jpg", image, quality=98, subsampling=0)
        save_codes(place / f"depth/{9 + n}.png", codes)
        lost = n == len(clip) - 1
        save_rows(place / f"pose/{9 + n}.txt", pose * 0 - np.inf if lost else pose, digits=8)
        frames.append(FrameTruth(str(9 + n), image, depth, K, None if lost else pose))
    save_text(folder / "scannetv2_train.txt", "scene0000_00\n")
    save_text(folder / "scannetv2_val.txt", f"{SCENE}\nscene0015_00\n")
    lists = {"all": [SCENE], "train": [], "val": [SCENE]}
    return Written(SCENE, frames, lists, depth_step=1e-3, pose_error=1e-6, image_error=3.0)


def write_selected(folder: Path, clip: Clip) -> Written:
    """The 90 frames of the published evaluations."""
    place = folder / SCENE
    frames, poses = [], []
    for n, (image, codes, depth, pose) in enumerate(_recorded(place, clip)):
        name = f"frame_{n:04d}"
        save_image(place / f"color_90/{name}.jpg", image, quality=98, subsampling=0)
        save_codes(place / f"depth_90/{name}.png", codes)
        poses.append(pose.ravel())
        frames.append(FrameTruth(name, image, depth, K, pose))
    save_rows(place / "pose_90.txt", np.array(poses), digits=8)
    lists, settings = {"all": [SCENE]}, {"selection": "_90"}
    return Written(
        SCENE, frames, lists, settings, depth_step=1e-3, pose_error=1e-6, image_error=3.0
    )


def _recorded(place: Path, clip: Clip):
    """Image, depth codes, the depth seen through the colour camera, pose; calibrations written."""
    for name, k in (("color", K), ("depth", SENSOR)):
        matrix = np.eye(4)
        matrix[:3, :3] = k
        save_rows(place / f"intrinsic/intrinsic_{name}.txt", matrix, digits=9)
    images, _ = clip.view(K, SIZE)
    _, sensed = clip.view(SENSOR, DEPTH_SIZE)
    for n in range(len(clip)):
        pose = somewhere() @ clip.world_from_camera[n]
        yield images[n], sensed[n] * 1000, _through_colour(sensed[n]), pose


def _through_colour(sensed: np.ndarray) -> np.ndarray:
    """At the depth map's resolution: a pixel there covers 2 x 2 of the picture, so its centre lies
    at 2 x + 0.5."""
    seen = np.zeros_like(sensed)
    for row, column in np.ndindex(*DEPTH_SIZE):
        x = (2 * column + 0.5 - K[0, 2]) / K[0, 0] * SENSOR[0, 0] + SENSOR[0, 2]
        y = (2 * row + 0.5 - K[1, 2]) / K[1, 1] * SENSOR[1, 1] + SENSOR[1, 2]
        x, y = round(x), round(y)
        if 0 <= x < DEPTH_SIZE[1] and 0 <= y < DEPTH_SIZE[0]:
            seen[row, column] = sensed[y, x]
    return seen


VARIANTS = {"export": write, "selection": write_selected}
_PLACE = f"scans/{SCENE}"
DAMAGES = {
    "missing depth": damage.removed(f"{_PLACE}/depth/10.png"),
    "missing pose": damage.removed(f"{_PLACE}/pose/10.txt"),
    "missing calibration": damage.removed(f"{_PLACE}/intrinsic/intrinsic_color.txt"),
    "odd calibration": damage.text(f"{_PLACE}/intrinsic/intrinsic_depth.txt", "1 2 3\n"),
    "NaN pose": damage.text(f"{_PLACE}/pose/10.txt", "nan " * 16, "pose of frame 10"),
    "not a rotation": damage.text(f"{_PLACE}/pose/10.txt", "2 " * 16, "pose of frame 10"),
    "wrong size": damage.codes_of_size(f"{_PLACE}/depth/10.png", (48, 48)),
    "unreadable image": damage.unreadable(f"{_PLACE}/color/10.jpg"),
}
