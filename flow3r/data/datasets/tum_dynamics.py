"""TUM-dynamics: the sequences of TUM's RGB-D benchmark (Sturm et al., IROS 2012) with people.

`rgbd_dataset_freiburg<N>_<name>/` as `tum_layout` says; 640 x 480. Depth: value / 5000 = metres.
Poses: camera to world of the colour camera, metres, OpenCV axes.

Calibrations are the published ones of the three cameras (ROS defaults not used); the pictures of
freiburg3 are rectified, those of freiburg1 and 2 have a slight distortion that is neglected, as in
the published evaluations.

Splits: `all`; `dynamic`: the nine sequences "dynamic objects" (sitting, walking, desk with person)
that are there. Any TUM sequence is read, static or not; `dynamic` says which moves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.datasets.tum_layout import TumSettings, read_frames
from flow3r.data.readers.calibration import Calibration
from flow3r.data.readers.listing import folders_in
from flow3r.data.scenes import Scene
from flow3r.errors import DataError

LAYOUT = Layout(
    name="tum_dynamics",
    files="rgbd_dataset_freiburg<N>_<name>/ with rgb.txt, depth.txt, groundtruth.txt",
    depth="m x 5000, 16-bit PNG, 0 = none",
    poses="camera to world, OpenCV, TUM trajectory",
    splits="all; dynamic (the sequences with moving people)",
    motion="dynamic (sitting, walking, desk_with_person)",
)
CAMERAS = {
    "1": Calibration(517.3, 516.5, 318.6, 255.3, 480, 640),
    "2": Calibration(520.9, 521.0, 325.1, 249.7, 480, 640),
    "3": Calibration(535.4, 539.2, 320.1, 247.6, 480, 640),
}
_DYNAMIC = re.compile(r"_(sitting|walking|desk_with_person)")


@dataclass(frozen=True)
class Settings(TumSettings):
    """As the layout's."""


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All sequences below `path`; names are the folders'."""
    sequences = tuple(folders_in(path, "rgbd_dataset_freiburg*"))
    moving = tuple(name for name in sequences if _DYNAMIC.search(name))
    lists = {"all": sequences, "dynamic": moving}
    return RecordedDataset(LAYOUT, path, settings, lists, partial(_scene, path, settings))


def _scene(path: Path, settings: Settings, name: str) -> Scene:
    camera = name.removeprefix("rgbd_dataset_freiburg")[:1]
    if camera not in CAMERAS:
        raise DataError(f"{path / name}: no freiburg1, 2 or 3; there is no calibration for it")
    frames = read_frames(path / name, settings, CAMERAS[camera], _as_recorded)
    return Scene(name, frames, bool(_DYNAMIC.search(name)), True)


def _as_recorded(pose: np.ndarray) -> np.ndarray:
    return pose
