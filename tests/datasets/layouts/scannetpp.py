"""ScanNet++: fisheye DSLR and slightly distorted iPhone pictures, COLMAP text models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_layouts import damage, lenses
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.colmap import write_text_model
from dataset_layouts.files import save_codes, save_image, save_text, somewhere

NAME = "scannetpp"
SIZE = (48, 72)
SCENE = "bcd2436daf"
K = np.array([[33.0, 0, 35.75], [0, 33.25, 23.5], [0, 0, 1]])


def write(folder: Path, clip: Clip) -> Written:
    """DSLR."""
    bend = lenses.fisheye(0.04, -0.01, 0.004, -0.001)
    camera = f"1 OPENCV_FISHEYE {SIZE[1]} {SIZE[0]} 33 33.25 36.25 24 0.04 -0.01 0.004 -0.001"
    names = [f"DSC{n + 1753:05d}.JPG" for n in range(len(clip))]
    place = folder / "data" / SCENE / "dslr"
    frames = _write(place, clip, bend, camera, place / "resized_images", names, "")
    save_text(folder / "splits/nvs_sem_train.txt", "0a7cc12c0e\n")
    save_text(folder / "splits/nvs_sem_val.txt", f"{SCENE}\nffff\n")
    lists = {"all": [SCENE], "nvs_sem_train": [], "nvs_sem_val": [SCENE]}
    return Written(
        SCENE, frames, lists, depth_step=1e-3, pose_error=1e-12, image_error=lenses.ROUNDING
    )


def write_iphone(folder: Path, clip: Clip) -> Written:
    bend = lenses.radial(0.09, -0.04)
    camera = f"1 OPENCV {SIZE[1]} {SIZE[0]} 33 33.25 36.25 24 0.09 -0.04 0 0"
    names = [f"frame_{10 * n:06d}.jpg" for n in range(len(clip))]
    place = folder / "data" / SCENE / "iphone"
    frames = _write(place, clip, bend, camera, place / "rgb", names, "video/")
    settings = {"device": "iphone"}
    return Written(
        SCENE,
        frames,
        {"all": [SCENE]},
        settings,
        depth_step=1e-3,
        pose_error=1e-12,
        image_error=lenses.ROUNDING,
    )


def _write(place, clip, bend, camera, pictures, names, prefix) -> list[FrameTruth]:
    images, depth = lenses.record(clip, K, SIZE, bend)
    expected = lenses.straight_depth(depth, K, bend)
    truth = lenses.straight_images(images, K, bend)
    frames = []
    for n, name in enumerate(names):
        pose = somewhere() @ clip.world_from_camera[n]
        stem = name.split(".")[0]
        save_image(pictures / name, images[n], format="PNG")  # without JPEG's loss
        save_codes(place / f"render_depth/{stem}.png", depth[n] * 1000)
        frames.append(FrameTruth(stem, truth[n], expected[n], K, pose))
    model = [f"{prefix}{name}" for name in names]
    write_text_model(place / "colmap", camera, model, [f.world_from_camera for f in frames])
    return frames


VARIANTS = {"dslr": write, "iphone": write_iphone}
_PLACE = f"data/{SCENE}/dslr"
DAMAGES = {
    "missing depth": damage.removed(f"{_PLACE}/render_depth/DSC01754.png"),
    "missing image": damage.removed(f"{_PLACE}/resized_images/DSC01754.JPG"),
    "unreadable image": damage.unreadable(f"{_PLACE}/resized_images/DSC01754.JPG"),
    "wrong size": damage.codes_of_size(f"{_PLACE}/render_depth/DSC01754.png", (48, 48)),
    "image of another size": damage.image_of_size(
        f"{_PLACE}/resized_images/DSC01754.JPG", (24, 36)
    ),
    "unknown camera model": damage.text(f"{_PLACE}/colmap/cameras.txt", "1 THIN 72 48 1 2 3\n"),
    "NaN pose": damage.text(f"{_PLACE}/colmap/images.txt", "1 1 0 0 0 nan 0 0 1 DSC01753.JPG\n\n"),
}
