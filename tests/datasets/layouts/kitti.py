"""KITTI's depth selection: sparse depth, calibrations as 9 numbers, no poses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import save_codes, save_image, save_rows

NAME = "kitti"
SIZE = (32, 96)
DRIVE = "2011_09_26_drive_0002"
SCENE = f"{DRIVE}_sync_02"
K = np.array([[72.125, 0, 47.5], [0, 72.125, 17.25], [0, 0, 1]])
ROOT = "depth_selection/val_selection_cropped"


def write(folder: Path, clip: Clip) -> Written:
    frames = []
    for n, (image, depth) in enumerate(_recorded(clip)):
        name = f"{DRIVE}_sync_image_{5 * n:010d}_image_02"
        truth = f"{DRIVE}_sync_groundtruth_depth_{5 * n:010d}_image_02"
        save_image(folder / ROOT / f"image/{name}.png", image)
        save_codes(folder / ROOT / f"groundtruth_depth/{truth}.png", depth * 256)
        save_rows(folder / ROOT / f"intrinsics/{name}.txt", K.reshape(1, 9))
        frames.append(FrameTruth(name, image, depth, K, None))
    other = f"{DRIVE}_sync_image_0000000005_image_03"
    save_image(folder / ROOT / f"image/{other}.png", np.zeros((*SIZE, 3), np.uint8))
    lists = {"all": [SCENE, f"{DRIVE}_sync_03"]}
    return Written(SCENE, frames, lists, dynamic=True, depth_step=1 / 256)


def write_gathered(folder: Path, clip: Clip) -> Written:
    frames = []
    for n, (image, depth) in enumerate(_recorded(clip)):
        save_image(folder / f"image_gathered/{SCENE}/{n:010d}.png", image)
        save_codes(folder / f"groundtruth_depth_gathered/{SCENE}/{n:010d}.png", depth * 256)
        frames.append(FrameTruth(f"{n:010d}", image, depth, None, None))
    lists, settings = {"all": [SCENE]}, {"frames": "gathered"}
    return Written(SCENE, frames, lists, settings, dynamic=True, depth_step=1 / 256)


def _recorded(clip: Clip):
    """The laser meets every third row and fifth column."""
    images, depth = clip.view(K, SIZE)
    sparse = np.zeros_like(depth)
    sparse[:, ::3, ::5] = depth[:, ::3, ::5]
    return zip(images, sparse)


VARIANTS = {"selected": write, "gathered": write_gathered}
_NAME = f"{DRIVE}_sync_image_0000000005_image_02"
_TRUTH = f"{ROOT}/groundtruth_depth/{DRIVE}_sync_groundtruth_depth_0000000005_image_02.png"
DAMAGES = {
    "missing depth": damage.removed(_TRUTH),
    "missing calibration": damage.removed(f"{ROOT}/intrinsics/{_NAME}.txt"),
    "unreadable image": damage.unreadable(f"{ROOT}/image/{_NAME}.png"),
    "odd name": (
        lambda f: save_image(f / ROOT / "image/5.png", np.zeros((*SIZE, 3), np.uint8)),
        "image/5.png",
    ),
    "wrong size": damage.codes_of_size(_TRUTH, (48, 48)),
    "8-bit depth": (
        lambda f: save_image(f / _TRUTH, np.ones(SIZE, np.uint8)),
        "groundtruth_depth_0000000005_image_02.png",
    ),
}
