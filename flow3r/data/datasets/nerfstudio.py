"""A folder with transforms.json, as nerfstudio, instant-ngp and Blender write it.

The path is such a folder or holds several. `file_path` and `depth_file_path` are relative to the
file; intrinsics shared or per frame, first pixel's centre (0.5, 0.5). Static, arbitrary scale
unless `metric` is set. Lens distortion (radial or fisheye) is taken out of pictures and depth.

Depth (optional): 16-bit PNG, `depth_per_unit` codes per unit of the poses (nerfstudio's default is
millimetres), 0 = none; or .npy in units. Poses: camera to world, OpenGL axes.
Splits: `all`; where the files are called transforms_train.json etc., these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flow3r.config import require
from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.calibration import fitting
from flow3r.data.readers.depth import read_depth_npy, read_depth_png
from flow3r.data.readers.images import EXTENSIONS
from flow3r.data.readers.lens import straight_depth, straight_rgb
from flow3r.data.readers.listing import natural
from flow3r.data.readers.nerfstudio import NerfFrame, read_transforms
from flow3r.data.scenes import Frame, Scene

LAYOUT = Layout(
    name="nerfstudio",
    files="[<scene>/]transforms.json or transforms_<split>.json, and the files it names",
    depth="optional; 16-bit PNG (default mm, 0 = none) or .npy",
    poses="camera to world, OpenGL, transforms.json",
    splits="all; train, val, test from transforms_<split>.json",
    motion="static",
)
_FILES = {"transforms": "all", "transforms_train": "train", "transforms_val": "val"}
_FILES |= {"transforms_test": "test"}


@dataclass(frozen=True)
class Settings:
    """The unit."""

    depth_per_unit: float = 1000.0
    metric: bool = False

    def __post_init__(self) -> None:
        require(self.depth_per_unit > 0, f"depth_per_unit={self.depth_per_unit} must be above 0")


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """Scenes are called by their folders; those of a split '<folder>/train'."""
    sources: dict[str, Path] = {}
    lists: dict[str, list[str]] = {"all": []}
    patterns = ("transforms*.json", "*/transforms*.json")
    for file in sorted((f for p in patterns for f in path.glob(p)), key=natural):
        split = _FILES.get(file.stem)
        if split is None:
            continue
        name = file.parent.resolve().name + ("" if split == "all" else f"/{split}")
        sources[name] = file
        lists["all"].append(name)
        if split != "all":
            lists.setdefault(split, []).append(name)
    named = {split: tuple(names) for split, names in lists.items()}
    return RecordedDataset(LAYOUT, path, settings, named, partial(_scene, sources, settings))


def _scene(sources: dict[str, Path], settings: Settings, name: str) -> Scene:
    file = sources[name]
    frames = tuple(_frame(file, settings, found) for found in read_transforms(file))
    return Scene(name, frames, False, settings.metric)


def _frame(file: Path, settings: Settings, found: NerfFrame) -> Frame:
    image = file.parent / found.image
    if image.suffix.lower() not in EXTENSIONS:
        image = image.with_name(f"{image.name}.png")  # Blender's files leave the ending out
    depth = None if found.depth is None else file.parent / found.depth
    read = depth and partial(fitting, partial(_depth, depth, settings), depth, image)
    return Frame(
        name=image.stem,
        image_source=partial(straight_rgb, image, found.intrinsics, found.lens),
        depth_source=depth and partial(straight_depth, read, image, found.intrinsics, found.lens),
        intrinsics_source=found.intrinsics,
        pose_source=found.world_from_camera,
        files=tuple(path for path in (image, depth, file) if path),
    )


def _depth(path: Path, settings: Settings) -> np.ndarray:
    if path.suffix == ".npy":
        return read_depth_npy(path)
    return read_depth_png(path, settings.depth_per_unit)
