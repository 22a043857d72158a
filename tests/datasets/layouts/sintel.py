"""Sintel: tagged binary files, world to camera."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import save_image, somewhere

NAME = "sintel"
SIZE = (40, 64)
SCENE = "ambush_4"
K = np.array([[60.25, 0, 31.5], [0, 61.5, 19.5], [0, 0, 1]])
TAG = struct.pack("<f", 202021.25)


def write(folder: Path, clip: Clip, rendering: str = "final") -> Written:
    images, depth = clip.view(K, SIZE)
    training = folder / "training"
    frames = []
    for n in range(len(clip)):
        name = f"frame_{n + 1:04d}"
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(training / rendering / SCENE / f"{name}.png", images[n])
        for part in ("depth", "camdata_left"):
            (training / part / SCENE).mkdir(parents=True, exist_ok=True)
        dpt = TAG + struct.pack("<ii", SIZE[1], SIZE[0]) + depth[n].astype("<f4").tobytes()
        (training / "depth" / SCENE / f"{name}.dpt").write_bytes(dpt)
        extrinsics = np.linalg.solve(pose, np.eye(4))[:3]
        cam = TAG + K.astype("<f8").tobytes() + extrinsics.astype("<f8").tobytes()
        (training / "camdata_left" / SCENE / f"{name}.cam").write_bytes(cam)
        frames.append(FrameTruth(name, images[n], depth[n], K, pose))
    (training / rendering / "bandage_1").mkdir()
    lists = {"all": [SCENE, "bandage_1"], "pose": [SCENE]}
    return Written(SCENE, frames, lists, dynamic=True, metric=False, pose_error=1e-12)


def write_clean(folder: Path, clip: Clip) -> Written:
    written = write(folder, clip, "clean")
    written.settings["rendering"] = "clean"
    return written


VARIANTS = {"final": write, "clean": write_clean}
_DEPTH, _CAMERA = (f"training/{part}/{SCENE}/frame_0002" for part in ("depth", "camdata_left"))


def _nan_pose(folder: Path) -> None:
    content = bytearray((folder / f"{_CAMERA}.cam").read_bytes())
    content[-8:] = struct.pack("<d", float("nan"))
    (folder / f"{_CAMERA}.cam").write_bytes(bytes(content))


def _other_size(folder: Path) -> None:
    content = TAG + struct.pack("<ii", 40, 40) + np.ones(1600, "<f4").tobytes()
    (folder / f"{_DEPTH}.dpt").write_bytes(content)


DAMAGES = {
    "missing depth": damage.removed(f"{_DEPTH}.dpt"),
    "missing camera": damage.removed(f"{_CAMERA}.cam"),
    "NaN pose": (_nan_pose, "pose of frame frame_0002"),
    "wrong size": (_other_size, "frame_0002.dpt"),
    "truncated depth": damage.truncated(f"{_DEPTH}.dpt"),
    "truncated camera": damage.truncated(f"{_CAMERA}.cam"),
    "no tag": damage.unreadable(f"{_DEPTH}.dpt"),
    "unreadable image": damage.unreadable(f"training/final/{SCENE}/frame_0002.png"),
}
