"""COLMAP: text without distortion, binary with; depth as PNG and as COLMAP's own."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from dataset_layouts import damage, lenses
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import quaternion, save_codes, save_image, save_text, somewhere

NAME = "colmap"
SIZE = (48, 64)
SCENE = "statue"
K = np.array([[60.0, 0, 31.25], [0, 61.0, 23.75], [0, 0, 1]])
K_RADIAL = np.array([[60.0, 0, 31.25], [0, 60.0, 23.75], [0, 0, 1]])
LENS = lenses.radial(-0.08)


def pose_numbers(pose: np.ndarray) -> list[float]:
    """qw qx qy qz tx ty tz, world to camera."""
    world_to_camera = np.linalg.solve(pose, np.eye(4))
    x, y, z, w = quaternion(world_to_camera[:3, :3])
    return [w, x, y, z, *world_to_camera[:3, 3]]


def write_text_model(folder: Path, camera: str, names: list[str], poses: list[np.ndarray]) -> None:
    """cameras.txt, images.txt and an empty points3D.txt; the last image has no observation."""
    save_text(folder / "cameras.txt", f"# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n{camera}\n")
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
    for n, (name, pose) in enumerate(zip(names, poses)):
        numbers = " ".join(f"{value:.17g}" for value in pose_numbers(pose))
        observations = "" if n == len(names) - 1 else "12.5 13.5 -1 3.25 4.5 17"
        lines += [f"{n + 7} {numbers} 1 {name}", observations]
    save_text(folder / "images.txt", "\n".join(lines) + "\n")
    save_text(folder / "points3D.txt", "# none\n")


def write(folder: Path, clip: Clip) -> Written:
    """Text, PINHOLE, depth as 16-bit PNG in a folder; several scenes below the path."""
    images, depth = clip.view(K, SIZE)
    place, frames = folder / SCENE, []
    for n in range(len(clip)):
        pose = somewhere() @ clip.world_from_camera[n]
        save_image(place / f"images/view{n}.png", images[n])
        save_codes(place / f"depths/view{n}.png", depth[n] * 2000)
        frames.append(FrameTruth(f"view{n}", images[n], depth[n], K, pose))
    camera = f"1 PINHOLE {SIZE[1]} {SIZE[0]} 60 61 31.75 24.25"
    names = [f"{frame.name}.png" for frame in frames]
    write_text_model(place / "sparse/0", camera, names, [f.world_from_camera for f in frames])
    settings = {"depth": "depths", "depth_per_unit": 2000.0}
    return Written(
        SCENE,
        frames,
        {"all": [SCENE]},
        settings,
        metric=False,
        depth_step=5e-4,
        pose_error=1e-12,
    )


def write_binary(folder: Path, clip: Clip) -> Written:
    """Binary, SIMPLE_RADIAL, COLMAP's dense maps; the path is the scene."""
    images, depth = lenses.record(clip, K_RADIAL, SIZE, LENS)
    expected = lenses.straight_depth(depth, K_RADIAL, LENS)
    truth = lenses.straight_images(images, K_RADIAL, LENS)
    (folder / "sparse/0").mkdir(parents=True)
    (folder / "stereo/depth_maps").mkdir(parents=True)
    frames, blocks = [], []
    for n in range(len(clip)):
        pose, name = somewhere() @ clip.world_from_camera[n], f"view{n}.png"
        save_image(folder / "images" / name, images[n])
        dense = b"%d&%d&1&" % (SIZE[1], SIZE[0]) + depth[n].astype("<f4").tobytes()
        (folder / f"stereo/depth_maps/{name}.geometric.bin").write_bytes(dense)
        block = struct.pack("<i7di", n + 3, *pose_numbers(pose), 2) + name.encode() + b"\0"
        observations = struct.pack("<Q", 2) + struct.pack("<ddq", 1.5, 2.5, -1) * 2
        blocks.append(block + observations)
        frames.append(FrameTruth(f"view{n}", truth[n], expected[n], K_RADIAL, pose))
    cameras = struct.pack("<Q", 1) + struct.pack("<iiQQ", 2, 2, SIZE[1], SIZE[0])
    cameras += struct.pack("<4d", 60.0, 31.75, 24.25, -0.08)
    (folder / "sparse/0/cameras.bin").write_bytes(cameras)
    (folder / "sparse/0/images.bin").write_bytes(struct.pack("<Q", len(clip)) + b"".join(blocks))
    name = folder.resolve().name
    settings = {"depth": "stereo/depth_maps", "metric": True}
    return Written(
        name, frames, {"all": [name]}, settings, pose_error=1e-12, image_error=lenses.ROUNDING
    )


VARIANTS = {"text": write, "binary": write_binary}
_MODEL = f"{SCENE}/sparse/0"
DAMAGES = {
    "missing depth": damage.removed(f"{SCENE}/depths/view1.png"),
    "missing image": damage.removed(f"{SCENE}/images/view1.png"),
    "unreadable image": damage.unreadable(f"{SCENE}/images/view1.png"),
    "image of another size": damage.image_of_size(f"{SCENE}/images/view1.png", (24, 32)),
    "wrong size": damage.codes_of_size(f"{SCENE}/depths/view1.png", (48, 48)),
    "no model": damage.removed(f"{_MODEL}/images.txt"),
    "odd camera": damage.text(f"{_MODEL}/cameras.txt", "1 PINHOLE 64 48 60\n"),
    "odd image": damage.text(f"{_MODEL}/images.txt", "1 2 3\n"),
    "NaN pose": damage.text(f"{_MODEL}/images.txt", "1 1 0 0 0 nan 0 0 1 view0.png\n\n"),
    "unknown camera": damage.text(
        f"{_MODEL}/images.txt", "1 1 0 0 0 0 0 0 9 view0.png\n\n", "camera 9"
    ),
}
