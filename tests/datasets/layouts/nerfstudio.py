"""transforms.json: OpenGL poses; shared intrinsics and depth, or per frame with a fisheye lens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from dataset_layouts import damage, lenses
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import save_codes, save_image, save_text, somewhere

NAME = "nerfstudio"
SIZE = (48, 64)
SCENE = "desk"
K = np.array([[60.0, 0, 31.25], [0, 61.0, 23.75], [0, 0, 1]])
CAMERA = {"fl_x": 60.0, "fl_y": 61.0, "cx": 31.75, "cy": 24.25, "w": 64, "h": 48}


def write(folder: Path, clip: Clip) -> Written:
    images, depth = clip.view(K, SIZE)
    place, frames, entries = folder / SCENE, [], []
    for n in range(len(clip)):
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(place / f"images/frame_{n + 1:05d}.png", images[n])
        save_codes(place / f"depths/frame_{n + 1:05d}.png", depth[n] * 1000)
        entry = _entry(pose, f"images/frame_{n + 1:05d}.png")
        entries.append({**entry, "depth_file_path": f"depths/frame_{n + 1:05d}.png"})
        frames.append(FrameTruth(f"frame_{n + 1:05d}", images[n], depth[n], K, pose))
    content = {"camera_model": "OPENCV", **CAMERA, "k1": 0.0, "k2": 0.0, "frames": entries}
    save_text(place / "transforms.json", json.dumps(content))
    return Written(
        SCENE,
        frames,
        {"all": [SCENE]},
        {"metric": True},
        depth_step=1e-3,
        pose_error=1e-12,
    )


def write_splits(folder: Path, clip: Clip) -> Written:
    """Blender's: a file per split, one angle of view, no endings; here with a fisheye lens."""
    bend = lenses.fisheye(0.03, 0.0, 0.0, 0.0)
    images, _ = lenses.record(clip, K, SIZE, bend)
    truth = lenses.straight_images(images, K, bend)
    frames, entries = [], []
    for n in range(len(clip)):
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(folder / f"train/r_{n}.png", images[n])
        entries.append({**_entry(pose, f"./train/r_{n}"), **CAMERA})
        frames.append(FrameTruth(f"r_{n}", truth[n], None, K, pose))
    content = {"camera_model": "OPENCV_FISHEYE", "k1": 0.03, "frames": entries}
    save_text(folder / "transforms_train.json", json.dumps(content))
    save_text(folder / "transforms_test.json", json.dumps(content))
    name = folder.resolve().name
    lists = {
        "all": [f"{name}/test", f"{name}/train"],
        "train": [f"{name}/train"],
        "test": [f"{name}/test"],
    }
    return Written(
        f"{name}/train", frames, lists, metric=False, pose_error=1e-12, image_error=lenses.ROUNDING
    )


def _entry(pose: np.ndarray, file: str) -> dict:
    matrix = np.column_stack([pose[:, 0], -pose[:, 1], -pose[:, 2], pose[:, 3]])
    return {"file_path": file, "transform_matrix": matrix.tolist()}


VARIANTS = {"depth": write, "splits": write_splits}
_FILE = f"{SCENE}/transforms.json"
DAMAGES = {
    "missing depth": damage.removed(f"{SCENE}/depths/frame_00002.png"),
    "missing image": damage.removed(f"{SCENE}/images/frame_00002.png"),
    "unreadable image": damage.unreadable(f"{SCENE}/images/frame_00002.png"),
    "wrong size": damage.codes_of_size(f"{SCENE}/depths/frame_00002.png", (48, 48)),
    "broken JSON": damage.truncated(_FILE),
    "no frames": damage.text(_FILE, '{"frames": []}'),
    "no focal length": damage.replaced(_FILE, "fl_x", "focal"),
    "NaN pose": damage.replaced(_FILE, '"transform_matrix": [[', '"transform_matrix": [[NaN, ', ""),
}
