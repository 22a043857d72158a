"""TartanAir V1 and V2: NED poses; depth as .npy, or float32 bytes as OpenCV writes them; / 10."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import quaternion, save_image, save_rows, somewhere

NAME = "tartanair"
SCENE, SCENE2 = "office/office/Easy/P001", "Gascola/Data_hard/P000"
K = np.array([[32.0, 0, 32.05 - 0.5], [0, 32.0, 24.05 - 0.5], [0, 0, 1]])
K2 = np.array([[32.0, 0, 32.05 - 0.5], [0, 32.0, 32.05 - 0.5], [0, 0, 1]])


def ned_row(pose: np.ndarray) -> np.ndarray:
    """x forward is our z, y right our x, z down our y."""
    turn = np.column_stack([pose[:3, 2], pose[:3, 0], pose[:3, 1]])
    return np.concatenate([pose[:3, 3], quaternion(turn)])


def write(folder: Path, clip: Clip) -> Written:
    images, depth = clip.view(K, (48, 64))
    place, frames, rows = folder / SCENE, [], []
    for n in range(len(clip)):
        name = f"{n:06d}"
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(place / f"image_left/{name}_left.png", images[n])
        stored, expected = _with_sky(depth[n])
        (place / "depth_left").mkdir(exist_ok=True)
        np.save(place / f"depth_left/{name}_left_depth.npy", stored)
        rows.append(ned_row(pose))
        frames.append(FrameTruth(name, images[n], expected, K, pose))
    save_rows(place / "pose_left.txt", np.array(rows))
    lists = {"all": [SCENE], "easy": [SCENE], "hard": []}
    return Written(SCENE, frames, lists, pose_error=1e-12)


def write_second(folder: Path, clip: Clip) -> Written:
    images, depth = clip.view(K2, (64, 64))
    place, frames, rows = folder / SCENE2, [], []
    for n in range(len(clip)):
        name = f"{n:06d}"
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(place / f"image_lcam_front/{name}_lcam_front.png", images[n])
        stored, expected = _with_sky(depth[n])
        bytes_of_floats = np.ascontiguousarray(stored[..., None]).view(np.uint8)
        (place / "depth_lcam_front").mkdir(exist_ok=True)
        file = place / f"depth_lcam_front/{name}_lcam_front_depth.png"
        assert cv2.imwrite(str(file), bytes_of_floats)
        rows.append(ned_row(pose))
        frames.append(FrameTruth(name, images[n], expected, K2, pose))
    save_rows(place / "pose_lcam_front.txt", np.array(rows))
    lists = {"all": [SCENE2], "easy": [], "hard": [SCENE2]}
    return Written(SCENE2, frames, lists, {"camera": "lcam_front"}, pose_error=1e-12)


def _with_sky(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stored, expected = depth.astype("<f4"), depth.copy()
    stored[0, :5], expected[0, :5] = 10000.0, 0.0
    return stored, expected


VARIANTS = {"V1": write, "V2": write_second}
_DEPTH = f"{SCENE}/depth_left/000001_left_depth.npy"
DAMAGES = {
    "missing depth": damage.removed(_DEPTH),
    "unreadable depth": damage.unreadable(_DEPTH),
    "pickled depth": (
        lambda f: np.save(f / _DEPTH, np.array([{}], dtype=object), allow_pickle=True),
        "000001_left_depth.npy",
    ),
    "wrong size": (lambda f: np.save(f / _DEPTH, np.ones((48, 48))), "000001_left_depth.npy"),
    "wrong count": damage.shortened(f"{SCENE}/pose_left.txt"),
    "NaN pose": damage.text(f"{SCENE}/pose_left.txt", "nan 0 0 0 0 0 1\n" * 3, "pose of frame"),
    "unreadable image": damage.unreadable(f"{SCENE}/image_left/000001_left.png"),
}
