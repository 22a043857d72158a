"""TartanAir V1 and V2 (Wang et al., IROS 2020; Patel et al., 2025): simulated flights.

V1: `<environment>/<Easy|Hard>/P<NNN>/image_left/NNNNNN_left.png`,
`depth_left/NNNNNN_left_depth.npy` (float32), `pose_left.txt`; 640 x 480.
V2: `<environment>/<Data_easy|Data_hard>/P<NNN>/image_lcam_front/NNNNNN_lcam_front.png`,
`depth_lcam_front/NNNNNN_lcam_front_depth.png` (the four bytes of a float32 as blue, green, red,
alpha), `pose_lcam_front.txt`; 640 x 640.
Unpacked archives put the environment's folder into another one of its name; that is read too.

Depth: z in metres; the sky lies at some 10 km, and what is beyond `max_depth` counts as none.
Poses: a line `tx ty tz qx qy qz qw` per picture, camera to world, metres, NED axes (x forward,
y right, z down) of camera and world. Calibration: f = 320, principal point (w / 2, h / 2).

Splits: `all`, `easy`, `hard` (the official test set has no public labels).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flow3r.config import require
from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.axes import opencv_from_ned, rotation_from_quaternion
from flow3r.data.readers.calibration import Calibration, fitting
from flow3r.data.readers.depth import read_depth_npy, read_depth_rgba_png
from flow3r.data.readers.images import read_rgb
from flow3r.data.readers.listing import files_in, folders_in, same_count
from flow3r.data.readers.numbers import read_table
from flow3r.data.readers.poses import rigid
from flow3r.data.scenes import Frame, Scene

LAYOUT = Layout(
    name="tartanair",
    files="<environment>/<Easy|Hard|Data_easy|Data_hard>/P<NNN>/image_<camera>/NNNNNN_<camera>.png",
    depth="m, V1 .npy float32, V2 .png with the bytes of float32; beyond max_depth = sky",
    poses="camera to world, NED, translation and quaternion (x y z w)",
    splits="all; easy, hard",
    motion="static",
)
V1 = Calibration(320.0, 320.0, 320.0, 240.0, 480, 640)
V2 = Calibration(320.0, 320.0, 320.0, 320.0, 640, 640)


@dataclass(frozen=True)
class Settings:
    """Which camera, and where the sky begins."""

    camera: str = "left"
    """V1: left, right. V2: lcam_front, rcam_front, lcam_left, ..."""
    max_depth: float = 1000.0
    """Metres."""

    def __post_init__(self) -> None:
        require(self.max_depth > 0, f"max_depth={self.max_depth} must be above 0")

    @property
    def second_version(self) -> bool:
        return "cam_" in self.camera


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All trajectories below `path`; names are their folders, e.g. 'office/Easy/P000'."""
    kinds = ("Data_easy", "Data_hard") if settings.second_version else ("Easy", "Hard")
    lists = {
        split: tuple(folders_in(path, f"*/{kind}/P*", f"*/*/{kind}/P*"))
        for split, kind in zip(("easy", "hard"), kinds)
    }
    lists = {"all": (*lists["easy"], *lists["hard"]), **lists}
    return RecordedDataset(LAYOUT, path, settings, lists, partial(_scene, path, settings))


def _scene(path: Path, settings: Settings, name: str) -> Scene:
    folder, camera = path / name, settings.camera
    images = files_in(folder / f"image_{camera}", f"*_{camera}.png")
    trajectory = folder / f"pose_{camera}.txt"
    rows = read_table(trajectory, 7)
    same_count(f"{trajectory}: poses", rows, f"pictures in image_{camera}", images)
    poses = opencv_from_ned(rigid(rotation_from_quaternion(rows[:, 3:]), rows[:, :3]))
    frames = tuple(_frame(folder, image, settings, pose) for image, pose in zip(images, poses))
    return Scene(name, frames, False, True)


def _frame(folder: Path, image: Path, settings: Settings, pose: np.ndarray) -> Frame:
    suffix = "png" if settings.second_version else "npy"
    depth = folder / f"depth_{settings.camera}" / f"{image.stem}_depth.{suffix}"
    camera = V2 if settings.second_version else V1
    read = partial(_without_sky, depth, settings)
    return Frame(
        name=image.stem.split("_")[0],
        image_source=partial(read_rgb, image),
        depth_source=partial(fitting, read, depth, image),
        intrinsics_source=partial(camera.of, image),
        pose_source=pose,
        files=(image, depth, folder / f"pose_{settings.camera}.txt"),
    )


def _without_sky(depth: Path, settings: Settings) -> np.ndarray:
    values = read_depth_rgba_png(depth) if settings.second_version else read_depth_npy(depth)
    values[values > settings.max_depth] = 0
    return values
