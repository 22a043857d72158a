"""NRGBD: OpenGL poses in blocks, one of them NaN; f = 554.256 / 10."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import save_codes, save_image, save_rows, save_text, somewhere

NAME = "nrgbd"
SIZE = (48, 64)
SCENE = "whiteroom"
FOCAL = 55.42562584220408
K = np.array([[FOCAL, 0, 32.05 - 0.5], [0, FOCAL, 24.05 - 0.5], [0, 0, 1]])


def write(folder: Path, clip: Clip, numbers=(9, 10, 100), focal_file: bool = True) -> Written:
    images, depth = clip.view(K, SIZE)
    frames, rows = [], []
    for n, number in enumerate(numbers):
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(folder / SCENE / f"images/img{number}.png", images[n])
        save_codes(folder / SCENE / f"depth/depth{number}.png", depth[n] * 1000)
        save_codes(folder / SCENE / f"depth_filtered/depth{number}.png", depth[n] * 0)
        opengl = np.column_stack([pose[:, 0], -pose[:, 1], -pose[:, 2], pose[:, 3]])
        lost = n == len(numbers) - 1
        rows += [row * np.nan if lost else row for row in opengl]
        frames.append(FrameTruth(f"img{number}", images[n], depth[n], K, None if lost else pose))
    save_rows(folder / SCENE / "poses.txt", np.array(rows), digits=9)
    if focal_file:
        save_text(folder / SCENE / "focal.txt", "554.2562584220408\n")
    return Written(SCENE, frames, {"all": [SCENE]}, depth_step=1e-3, pose_error=1e-6)


def write_without_focal(folder: Path, clip: Clip) -> Written:
    return write(folder, clip, focal_file=False)


VARIANTS = {"focal file": write, "published focal": write_without_focal}
DAMAGES = {
    "missing depth": damage.removed(f"{SCENE}/depth/depth9.png"),
    "unreadable image": damage.unreadable(f"{SCENE}/images/img10.png"),
    "wrong size": damage.codes_of_size(f"{SCENE}/depth/depth9.png", (48, 48)),
    "wrong count": damage.shortened(f"{SCENE}/poses.txt", 4),
    "half a pose": damage.shortened(f"{SCENE}/poses.txt", 2),
    "missing poses": damage.removed(f"{SCENE}/poses.txt"),
    "odd focal": damage.text(f"{SCENE}/focal.txt", "f = 554\n"),
}
