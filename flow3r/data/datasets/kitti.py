"""KITTI's depth selection (Uhrig et al., 3DV 2017), for depth benchmarks: no poses.

`[depth_selection/]val_selection_cropped/{image,groundtruth_depth,intrinsics}/` with files
`<drive>_sync_<image|groundtruth_depth>_<frame>_image_<camera>.png` (intrinsics: .txt, 9 numbers);
1216 x 352. A scene is a drive and a camera; its frames are not consecutive.

The published video-depth evaluations gather the first 110 frames of the validation drives
(MonST3R's scripts): `image_gathered/<drive>_<camera>/*.png` and `groundtruth_depth_gathered/...`,
file by file in the same order, without calibrations; the setting `frames` reads these.

Depth: 16-bit PNG, value / 256 = metres, 0 = none (sparse laser). Dynamic: traffic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.calibration import fitting
from flow3r.data.readers.depth import read_depth_png
from flow3r.data.readers.images import read_rgb
from flow3r.data.readers.intrinsics import read_intrinsics
from flow3r.data.readers.listing import files_in, folders_in, natural, same_count
from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError

LAYOUT = Layout(
    name="kitti",
    files="[depth_selection/]val_selection_cropped/image/*.png, groundtruth_depth, intrinsics",
    depth="m x 256, 16-bit PNG, 0 = none (sparse)",
    poses="none",
    splits="all",
    motion="dynamic",
)
_SELECTION = "val_selection_cropped"
_NAME = re.compile(r"(?P<drive>.+)_sync_image_(?P<frame>\d+)_image_(?P<camera>\d+)")


@dataclass(frozen=True)
class Settings:
    """Which frames: the 1000 selected ones, or those gathered for video depth."""

    frames: Literal["selected", "gathered"] = "selected"


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """Scenes are '2011_09_26_drive_0002_sync_02' (drive and camera)."""
    places = (path, path / _SELECTION, path / "depth_selection" / _SELECTION)
    folder = "image_gathered" if settings.frames == "gathered" else "image"
    root = next((place for place in places if (place / folder).is_dir()), path)
    if settings.frames == "gathered":
        names = tuple(folders_in(root / folder, "*"))
        read = partial(_gathered, root)
    else:
        groups = _groups(root / folder)
        names = tuple(groups)
        read = partial(_selected, root, groups)
    return RecordedDataset(LAYOUT, path, settings, {"all": names}, read)


def _groups(folder: Path) -> dict[str, list[Path]]:
    """Scene -> its pictures."""
    groups: dict[str, list[Path]] = {}
    for image in sorted(folder.glob("*.png"), key=natural):
        found = _NAME.fullmatch(image.stem)
        if found is None:
            raise DataError(f"{image}: not called <drive>_sync_image_<frame>_image_<camera>.png")
        groups.setdefault(f"{found['drive']}_sync_{found['camera']}", []).append(image)
    return groups


def _selected(root: Path, groups: dict[str, list[Path]], name: str) -> Scene:
    frames = []
    for image in groups[name]:
        truth = image.name.replace("_sync_image_", "_sync_groundtruth_depth_")
        calibration = root / "intrinsics" / f"{image.stem}.txt"
        frames.append(_frame(image, root / "groundtruth_depth" / truth, calibration))
    return Scene(name, tuple(frames), True, True)


def _gathered(root: Path, name: str) -> Scene:
    images = files_in(root / "image_gathered" / name, "*.png")
    folder = root / "groundtruth_depth_gathered" / name
    depths = files_in(folder, "*.png")
    same_count(f"{folder}: depth maps", depths, "pictures in image_gathered", images)
    frames = tuple(_frame(image, depth, None) for image, depth in zip(images, depths))
    return Scene(name, frames, True, True)


def _frame(image: Path, depth: Path, calibration: Path | None) -> Frame:
    read = partial(read_depth_png, depth, 256.0)
    return Frame(
        name=image.stem,
        image_source=partial(read_rgb, image),
        depth_source=partial(fitting, read, depth, image),
        intrinsics_source=calibration and partial(read_intrinsics, calibration),
        files=(image, depth, *([calibration] if calibration else [])),
    )
