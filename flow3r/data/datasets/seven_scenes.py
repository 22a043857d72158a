"""7-Scenes (Shotton et al., CVPR 2013): Kinect recordings of seven rooms.

`<scene>/seq-XX/frame-NNNNNN.{color.png,depth.png,pose.txt}`, `<scene>/TrainSplit.txt` and
`TestSplit.txt` with lines `sequenceN`; copies with `.color.jpg` and without split files are read
too. 640 x 480, static.

Depth: 16-bit PNG, millimetres, 0 and 65535 = none. `.depth.png` is as the depth camera saw it
(f = 585) and is seen here through the colour camera's calibration (f = 525, principal point
(320, 240); the small baseline between the two cameras is not published and neglected);
`.depth.proj.png`, which the published evaluations prepare (Spann3R, SimpleRecon), is registered
already and is used for a sequence that has it, unless the setting says otherwise.
Poses: 4x4 camera to world, metres, OpenCV axes. World: the scene's, shared by its sequences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.calibration import Calibration, fitting, registered, resized
from flow3r.data.readers.depth import read_depth_png
from flow3r.data.readers.images import read_rgb
from flow3r.data.readers.listing import files_in, folders_in, read_names
from flow3r.data.readers.poses import read_pose
from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError

LAYOUT = Layout(
    name="7scenes",
    files="<scene>/seq-XX/frame-NNNNNN.color.png|jpg, .depth.png or .depth.proj.png, .pose.txt",
    depth="mm, 16-bit PNG, 0 and 65535 = none; registered from f = 585 to f = 525 where it is not",
    poses="camera to world, OpenCV, 4x4 text",
    splits="all; train, test from <scene>/TrainSplit.txt, TestSplit.txt",
    motion="static",
)
COLOUR = Calibration(525.0, 525.0, 320.0, 240.0, 480, 640)
DEPTH = Calibration(585.0, 585.0, 320.0, 240.0, 480, 640)
_NONE = (0, 65535)


@dataclass(frozen=True)
class Settings:
    """How the depth is read."""

    depth: Literal["auto", "projected", "sensor"] = "auto"
    """projected: `.depth.proj.png`; sensor: `.depth.png`, registered here; auto: projected for the
    sequences that have it."""


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All scenes below `path`; names are 'chess/seq-03'."""
    sequences = tuple(folders_in(path, "*/seq-*"))
    lists = {"all": sequences}
    rooms = sorted({name.split("/")[0] for name in sequences})
    for split, file in (("train", "TrainSplit.txt"), ("test", "TestSplit.txt")):
        paths = [path / room / file for room in rooms]
        if rooms and all(listing.is_file() for listing in paths):
            lists[split] = tuple(name for listing in paths for name in _listed(listing))
    return RecordedDataset(LAYOUT, path, settings, lists, partial(_scene, path, settings))


def _listed(listing: Path) -> list[str]:
    names = []
    for line in read_names(listing):
        number = re.fullmatch(r"sequence\s*(\d+)", line)
        if number is None:
            raise DataError(f"{listing}: {line!r} is not of the form sequence1")
        names.append(f"{listing.parent.name}/seq-{int(number[1]):02d}")
    return names


def _scene(path: Path, settings: Settings, name: str) -> Scene:
    folder = path / name
    images = files_in(folder, "frame-*.color.png", "frame-*.color.jpg")
    projected = settings.depth == "projected" or (
        settings.depth == "auto" and any(folder.glob("*.depth.proj.png"))
    )
    return Scene(name, tuple(_frame(image, projected) for image in images), False, True)


def _frame(image: Path, projected: bool) -> Frame:
    name = image.name.split(".")[0]
    depth = image.with_name(f"{name}.depth.proj.png" if projected else f"{name}.depth.png")
    pose = image.with_name(f"{name}.pose.txt")
    read = partial(read_depth_png, depth, 1000.0, _NONE) if projected else partial(_seen, depth)
    return Frame(
        name=name,
        image_source=partial(read_rgb, image),
        depth_source=partial(fitting, read, depth, image),
        intrinsics_source=partial(COLOUR.of, image),
        pose_source=partial(read_pose, pose),
        files=(image, depth, pose),
    )


def _seen(path: Path) -> np.ndarray:
    depth = read_depth_png(path, 1000.0, _NONE)
    size, published = depth.shape, (COLOUR.height, COLOUR.width)
    cameras = (resized(camera.intrinsics, published, size) for camera in (DEPTH, COLOUR))
    return registered(depth, *cameras)
