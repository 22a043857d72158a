"""NRGBD (Azinovic et al., CVPR 2022): nine rendered rooms.

`<scene>/images/img<i>.png`, `<scene>/depth/depth<i>.png`, `<scene>/poses.txt`, `<scene>/focal.txt`;
640 x 480, static. i counts from 0 without padding.

Depth: 16-bit PNG, millimetres, 0 = none; `depth/` holds the simulated sensor's (what the published
evaluations read), `depth_filtered/` and `depth_with_noise/` are variants.
Poses: poses.txt, four lines of four numbers per frame, camera to world, metres, OpenGL axes; a pose
of NaN marks a frame without one. Calibration: f from focal.txt or, where that is missing, the
published 554.2562584220408; principal point the picture's centre (w / 2, h / 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.axes import opencv_from_opengl
from flow3r.data.readers.calibration import Calibration, fitting
from flow3r.data.readers.depth import read_depth_png
from flow3r.data.readers.images import read_rgb
from flow3r.data.readers.listing import files_in, folders_in, same_count
from flow3r.data.readers.numbers import read_matrix
from flow3r.data.readers.poses import read_pose_blocks
from flow3r.data.scenes import Frame, Scene

LAYOUT = Layout(
    name="nrgbd",
    files="<scene>/images/img<i>.png, depth/depth<i>.png, poses.txt, focal.txt",
    depth="mm, 16-bit PNG, 0 = none",
    poses="camera to world, OpenGL, 4 lines per frame; NaN = no pose",
    splits="all",
    motion="static",
)
FOCAL = 554.2562584220408


@dataclass(frozen=True)
class Settings:
    """Which of the depth folders."""

    depth: Literal["depth", "depth_filtered", "depth_with_noise"] = "depth"


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All rooms below `path`; names are the folders'."""
    rooms = tuple(name.split("/")[0] for name in folders_in(path, "*/images"))
    return RecordedDataset(LAYOUT, path, settings, {"all": rooms}, partial(_scene, path, settings))


def _scene(path: Path, settings: Settings, name: str) -> Scene:
    folder = path / name
    images = files_in(folder / "images", "img*.png")
    poses = read_pose_blocks(folder / "poses.txt")
    same_count(f"{folder / 'poses.txt'}: poses", poses, "pictures in images", images)
    focal_file = folder / "focal.txt"
    focal = float(read_matrix(focal_file, 1, 1)[0, 0]) if focal_file.is_file() else FOCAL
    camera = Calibration(focal, focal, 320.0, 240.0, 480, 640)
    depths = folder / settings.depth
    tables = [file for file in (folder / "poses.txt", focal_file) if file.is_file()]
    frames = tuple(
        _frame(image, depths / image.name.replace("img", "depth"), camera, pose, tables)
        for image, pose in zip(images, poses)
    )
    return Scene(name, frames, False, True)


def _frame(
    image: Path, depth: Path, camera: Calibration, pose: np.ndarray, tables: list[Path]
) -> Frame:
    read = partial(read_depth_png, depth, 1000.0)
    return Frame(
        name=image.stem,
        image_source=partial(read_rgb, image),
        depth_source=partial(fitting, read, depth, image),
        intrinsics_source=partial(camera.of, image),
        pose_source=None if np.isnan(pose).any() else opencv_from_opengl(pose),
        files=(image, depth, *tables),
    )
