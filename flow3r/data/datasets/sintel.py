"""MPI Sintel, training part (Butler et al., ECCV 2012), with its depth and camera downloads.

`training/<pass>/<sequence>/frame_NNNN.png`, `training/depth/<sequence>/frame_NNNN.dpt`,
`training/camdata_left/<sequence>/frame_NNNN.cam`; the path is the folder that holds `training`.
1024 x 436; figures move: dynamic. The optical-flow download is not read.

Depth: .dpt (tag 202021.25, int32 width and height, float32 z), no invalid value: the sky lies very
far away (the published evaluations count depths below 70). Lengths are the film's own, not metres.
Cameras: .cam (tag, float64 3x3 intrinsics with integer pixel centres, float64 3x4 world to camera,
OpenCV axes).

Splits: `all`, the 23 training sequences; `pose`, the 14 that the published pose evaluations keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.axes import inverted
from flow3r.data.readers.calibration import fitting
from flow3r.data.readers.depth import read_depth_dpt
from flow3r.data.readers.images import read_rgb
from flow3r.data.readers.intrinsics import checked_intrinsics
from flow3r.data.readers.listing import files_in, folders_in
from flow3r.data.readers.poses import read_cam
from flow3r.data.scenes import Frame, Scene

LAYOUT = Layout(
    name="sintel",
    files="training/<final|clean>/<sequence>/frame_NNNN.png, training/depth, training/camdata_left",
    depth="the film's units, .dpt float32; nothing is marked as invalid",
    poses="world to camera, OpenCV, .cam",
    splits="all; pose (the 14 sequences of the published pose evaluations)",
    motion="dynamic",
)
POSE_SEQUENCES = (
    *("alley_2", "ambush_4", "ambush_5", "ambush_6", "cave_2", "cave_4", "market_2", "market_5"),
    *("market_6", "shaman_3", "sleeping_1", "sleeping_2", "temple_2", "temple_3"),
)


@dataclass(frozen=True)
class Settings:
    """Which rendering: final has motion blur and atmosphere."""

    rendering: Literal["final", "clean"] = "final"


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All sequences of the rendering; names are the folders'."""
    sequences = tuple(folders_in(path / "training" / settings.rendering, "*"))
    pose = tuple(name for name in sequences if name in POSE_SEQUENCES)
    lists = {"all": sequences, "pose": pose}
    return RecordedDataset(LAYOUT, path, settings, lists, partial(_scene, path, settings))


def _scene(path: Path, settings: Settings, name: str) -> Scene:
    training = path / "training"
    images = files_in(training / settings.rendering / name, "frame_*.png")
    return Scene(name, tuple(_frame(training, name, image) for image in images), True, False)


def _frame(training: Path, sequence: str, image: Path) -> Frame:
    depth = training / "depth" / sequence / f"{image.stem}.dpt"
    camera = training / "camdata_left" / sequence / f"{image.stem}.cam"
    return Frame(
        name=image.stem,
        image_source=partial(read_rgb, image),
        depth_source=partial(fitting, partial(read_depth_dpt, depth), depth, image),
        intrinsics_source=partial(_intrinsics, camera),
        pose_source=partial(_pose, camera),
        files=(image, depth, camera),
    )


def _intrinsics(camera: Path) -> np.ndarray:
    return checked_intrinsics(read_cam(camera)[0], str(camera))


def _pose(camera: Path) -> np.ndarray:
    return inverted(read_cam(camera)[1])
