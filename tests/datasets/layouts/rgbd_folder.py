"""The generic folder: every direction, axes, pose file, calibration file and depth file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import (
    save_codes,
    save_image,
    save_rows,
    save_text,
    somewhere,
)
from dataset_layouts.tartanair import ned_row
from dataset_layouts.tum_dynamics import trajectory_line

NAME = "rgbd_folder"
SIZE = (48, 64)
K = np.array([[60.0, 0, 31.25], [0, 61.0, 23.75], [0, 0, 1]])


def write(folder: Path, clip: Clip) -> Written:
    """Two scenes as the defaults expect them: millimetres, a flattened pose per line."""
    images, depth = clip.view(K, SIZE)
    frames = []
    for n in range(len(clip)):
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(folder / f"kitchen/images/{n + 9}.png", images[n])
        save_codes(folder / f"kitchen/depth/{n + 9}.png", depth[n] * 1000)
        frames.append(FrameTruth(str(n + 9), images[n], depth[n], K, pose))
    rows = np.array([frame.world_from_camera.ravel() for frame in frames])
    save_rows(folder / "kitchen/poses.txt", rows)
    save_rows(folder / "kitchen/intrinsics.txt", K)
    save_image(folder / "attic/images/0.png", images[0])
    lists = {"all": ["attic", "kitchen"]}
    return Written("kitchen", frames, lists, depth_step=1e-3, pose_error=1e-12)


def write_opengl(folder: Path, clip: Clip) -> Written:
    """The path is the scene: world to camera, OpenGL, a pose per file, .npy, JSON calibration."""
    images, depth = clip.view(K, SIZE)
    frames = []
    for n in range(len(clip)):
        pose = somewhere() @ clip.world_from_camera[n]
        opengl = np.column_stack([pose[:, 0], -pose[:, 1], -pose[:, 2], pose[:, 3]])
        save_image(folder / f"rgb/{n}.png", images[n])
        (folder / "z").mkdir(exist_ok=True)
        np.save(folder / f"z/{n}.npy", depth[n] * 10)
        save_rows(folder / f"pose/{n}.txt", np.linalg.solve(opengl, np.eye(4)))
        frames.append(FrameTruth(str(n), images[n], depth[n], K, pose))
    corner = {"fx": 60.0, "fy": 61.0, "cx": 31.75, "cy": 24.25}
    save_text(folder / "camera.json", json.dumps(corner))
    settings = {
        "images": "rgb/*",
        "depth": "z/*.npy",
        "poses": "pose/*.txt",
        "intrinsics": "camera.json",
        "depth_per_unit": 10.0,
        "pose_direction": "camera_from_world",
        "axes": "opengl",
        "first_pixel": "corner",
        "metric": False,
    }
    name = folder.resolve().name
    return Written(
        name,
        frames,
        {"all": [name]},
        settings,
        metric=False,
        depth_relative=1e-6,
        pose_error=1e-12,
    )


def write_disparity(folder: Path, clip: Clip) -> Written:
    """A rectified pair's disparity, TUM trajectory of NED cameras, numbers for the calibration."""
    images, depth = clip.view(K, SIZE)
    frames, lines = [], []
    for n in range(len(clip)):
        pose = somewhere() @ clip.world_from_camera[n]
        expected, disparity = depth[n].copy(), 60.0 * 0.193 / depth[n].astype(np.float64) - 1.25
        disparity[0, :3], expected[0, :3] = np.inf, 0
        save_image(folder / f"images/{n}.png", images[n])
        (folder / "disparity").mkdir(exist_ok=True)
        np.savez(folder / f"disparity/{n}.npz", arr_0=disparity)
        ned = np.eye(4)
        ned[:3, :3] = np.column_stack([pose[:3, 2], pose[:3, 0], pose[:3, 1]])
        ned[:3, 3] = pose[:3, 3]
        assert np.allclose(ned_row(pose)[:3], ned[:3, 3])
        lines.append(trajectory_line(n / 4, ned))
        frames.append(FrameTruth(str(n), images[n], expected, K, pose, n / 4))
    save_text(folder / "track.txt", "\n".join(lines) + "\n")
    settings = {
        "depth": "disparity/*.npz",
        "depth_key": "arr_0",
        "depth_per_unit": 1.0,
        "disparity": {"focal": 60.0, "baseline": 0.193, "doffs": 1.25},
        "poses": "track.txt",
        "axes": "ned",
        "calibration": [60.0, 61.0, 31.25, 23.75],
        "dynamic": True,
    }
    name = folder.resolve().name
    return Written(
        name,
        frames,
        {"all": [name]},
        settings,
        dynamic=True,
        depth_relative=1e-6,
        pose_error=1e-7,
    )


def write_pictures(folder: Path, clip: Clip) -> Written:
    """Nothing but pictures and a calibration."""
    images, _ = clip.view(K, SIZE)
    frames = []
    for n in range(len(clip)):
        save_image(folder / f"images/{n}.png", images[n])
        frames.append(FrameTruth(str(n), images[n], None, K, None))
    save_text(folder / "intrinsics.txt", "60 61 31.25 23.75\n")
    name = folder.resolve().name
    return Written(name, frames, {"all": [name]}, {"depth": "", "poses": ""})


VARIANTS = {
    "defaults": write,
    "OpenGL": write_opengl,
    "disparity": write_disparity,
    "pictures": write_pictures,
}
DAMAGES = {
    "missing depth": (*damage.removed("kitchen/depth/10.png")[:1], "kitchen/depth"),
    "missing poses": damage.removed("kitchen/poses.txt"),
    "missing calibration": damage.removed("kitchen/intrinsics.txt"),
    "unreadable image": damage.unreadable("kitchen/images/10.png"),
    "wrong size": damage.codes_of_size("kitchen/depth/10.png", (48, 48)),
    "wrong count": damage.shortened("kitchen/poses.txt"),
    "NaN pose": damage.text("kitchen/poses.txt", ("nan " * 16 + "\n") * 3, "pose of frame 9"),
    "odd poses": damage.text("kitchen/poses.txt", "1 2 3\n"),
    "odd calibration": damage.text("kitchen/intrinsics.txt", "60\n"),
}
