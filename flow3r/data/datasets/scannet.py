"""ScanNet v2 (Dai et al., CVPR 2017), as its SensReader exports a scan.

`<scans>/<scene>/color/<i>.jpg`, `depth/<i>.png`, `pose/<i>.txt`, `intrinsic/intrinsic_color.txt`
and `intrinsic_depth.txt`; `<scans>` is `scans`, `scans_test` or the path itself. Static.

Depth: 16-bit PNG, millimetres, 0 = none, 640 x 480 while the pictures are 1296 x 968; the two
cameras have the same centre (the exported extrinsics are the identity) and slightly different
calibrations, so the depth is seen here through the colour camera's, at its own resolution.
Poses: 4x4 camera to world, metres, OpenCV axes; -inf marks lost tracking (no pose).

The published pose evaluations prepare 90 frames per scan (MonST3R's scripts): `color_90/*.jpg`,
`pose_90.txt` with a flattened 4x4 per line, `depth_90/*.png`; the setting `selection` reads these.

Splits: `all`; `train`, `val`, `test` where the official lists scannetv2_<split>.txt lie in the path
or in its folder `splits` (the scenes that are listed and there).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.calibration import fitting, registered, resized
from flow3r.data.readers.depth import read_depth_png
from flow3r.data.readers.images import image_size, read_rgb
from flow3r.data.readers.intrinsics import read_intrinsics
from flow3r.data.readers.listing import files_in, folders_in, listed_splits, same_count
from flow3r.data.readers.poses import read_pose, read_pose_lines
from flow3r.data.scenes import Frame, Scene

LAYOUT = Layout(
    name="scannet",
    files="[scans/]<scene>/color/<i>.jpg, depth/<i>.png, pose/<i>.txt, intrinsic/*.txt",
    depth="mm, 16-bit PNG, 0 = none; registered to the colour camera",
    poses="camera to world, OpenCV, 4x4 text; -inf = lost",
    splits="all; train, val, test from scannetv2_<split>.txt",
    motion="static",
)


@dataclass(frozen=True)
class Settings:
    """Which frames."""

    selection: str = ""
    """Ending of a prepared selection, e.g. '_90': color_90/, pose_90.txt. Empty: the export."""


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All scans below `path`; names are the folders', e.g. 'scene0000_00'."""
    folder = f"color{settings.selection}"
    found = folders_in(path, f"*/{folder}", f"scans/*/{folder}", f"scans_test/*/{folder}")
    places = {Path(name).parent.name: path / Path(name).parent for name in found}
    lists = {"all": tuple(places)}
    candidates = (
        (split, at / f"scannetv2_{split}.txt")
        for split in ("train", "val", "test")
        for at in (path, path / "splits")
    )
    for split, names in listed_splits(candidates).items():
        lists[split] = tuple(name for name in names if name in places)
    read = partial(_scene, places, settings)
    return RecordedDataset(LAYOUT, path, settings, lists, read)


def _scene(places: dict[str, Path], settings: Settings, name: str) -> Scene:
    folder = places[name]
    images = files_in(folder / f"color{settings.selection}", "*.jpg", "*.png")
    depths = [folder / f"depth{settings.selection}" / f"{image.stem}.png" for image in images]
    if settings.selection:
        trajectory = folder / f"pose{settings.selection}.txt"
        poses = [_tracked(pose) for pose in read_pose_lines(trajectory)]
        same_count(f"{trajectory}: poses", poses, f"pictures in color{settings.selection}", images)
        files: list = [trajectory] * len(images)
    else:
        files = [folder / "pose" / f"{image.stem}.txt" for image in images]
        poses = [partial(_read_tracked, file) for file in files]
    frames = tuple(
        _frame(folder, image, depth, pose, file)
        for image, depth, pose, file in zip(images, depths, poses, files)
    )
    return Scene(name, frames, False, True)


def _frame(folder: Path, image: Path, depth: Path, pose, pose_file: Path) -> Frame:
    colour = folder / "intrinsic" / "intrinsic_color.txt"
    sensor = folder / "intrinsic" / "intrinsic_depth.txt"
    return Frame(
        name=image.stem,
        image_source=partial(read_rgb, image),
        depth_source=partial(fitting, partial(_seen, depth, image, colour, sensor), depth, image),
        intrinsics_source=partial(read_intrinsics, colour),
        pose_source=pose,
        files=(image, depth, pose_file, colour, sensor),
    )


def _seen(depth: Path, image: Path, colour: Path, sensor: Path) -> np.ndarray:
    values = read_depth_png(depth, 1000.0)
    camera = resized(read_intrinsics(colour), image_size(image), values.shape)
    return registered(values, read_intrinsics(sensor), camera)


def _read_tracked(path: Path) -> np.ndarray | None:
    return _tracked(read_pose(path))


def _tracked(pose: np.ndarray) -> np.ndarray | None:
    return None if np.isinf(pose).any() else pose
