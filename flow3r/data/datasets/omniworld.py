"""OmniWorld-Game (Zhou et al., 2025): recordings of games.

The layout is the one that the dataset's repository documents and its `scripts/utils.py` reads
(yangzhou24/OmniWorld, October 2025), after unpacking the archives of a scene into one folder:
`<scene>/split_info.json` ({"split": [[frame numbers], ...]}), `camera/split_<k>.json` (focals [n],
cx, cy, quats [n][4] as w x y z, trans [n][3]), `color/NNNNNN.png`, `depth/NNNNNN.png`. Scenes are
looked for in the path, in `OmniWorld-Game/` and in `annotations/OmniWorld-Game/` (pictures then in
`videos/OmniWorld-Game/<scene>/color`). Each split of a scene is a scene here. Dynamic.

Depth: 16-bit PNG of a depth buffer d = code / 65535 with near plane 1 and far plane 1000:
z = d / (1000 - 999 d) / 0.004; d < 0.0015 (too near) and code > 65500 (sky) = none. Whether the
unit is the metre is not stated: not metric. Poses: world to camera, OpenCV axes; the centre of the
first pixel is (0.5, 0.5).

Splits: `all`; `train`, `test` by the column "Test Split Index" of `metadata/*game_metadata.csv`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.axes import inverted, rotation_from_quaternion
from flow3r.data.readers.calibration import fitting
from flow3r.data.readers.depth import measured, read_codes
from flow3r.data.readers.images import read_rgb
from flow3r.data.readers.intrinsics import checked_intrinsics, from_corner_origin, pinhole
from flow3r.data.readers.listing import natural, same_count
from flow3r.data.readers.poses import rigid
from flow3r.data.readers.structured import read_structured
from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError

LAYOUT = Layout(
    name="omniworld",
    files="<scene>/split_info.json, camera/split_<k>.json, color/NNNNNN.png, depth/NNNNNN.png",
    depth="arbitrary unit, 16-bit PNG depth buffer (near 1, far 1000); too near and sky = none",
    poses="world to camera, OpenCV, quaternions (w x y z) in camera/split_<k>.json",
    splits="all; train, test from metadata/*game_metadata.csv",
    motion="dynamic",
)
_PLACES = ("", "OmniWorld-Game/", "annotations/OmniWorld-Game/")
_NEAR, _SKY = 0.0015, 65500


@dataclass(frozen=True)
class Settings:
    """None so far."""


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All splits of all scenes; names are 'b04f88d1f85a/split_0'."""
    patterns = (f"{place}*/split_info.json" for place in _PLACES)
    files = sorted({file for pattern in patterns for file in path.glob(pattern)}, key=natural)
    folders = {file.parent.name: file.parent for file in files}
    numbers = {name: _splits(folder) for name, folder in folders.items()}
    everything = tuple(f"{name}/split_{k}" for name in folders for k in range(len(numbers[name])))
    lists = {"all": everything}
    for metadata in sorted(path.glob("metadata/*[gG]ame_metadata.csv"))[:1]:
        test = _test_names(metadata)
        lists["train"] = tuple(name for name in everything if name not in test)
        lists["test"] = tuple(name for name in everything if name in test)
    read = partial(_scene, path, folders, numbers)
    return RecordedDataset(LAYOUT, path, settings, lists, read)


def _splits(folder: Path) -> list[list[int]]:
    content = read_structured(folder / "split_info.json")
    splits = content.get("split") if isinstance(content, dict) else None
    if not isinstance(splits, list):
        raise DataError(f"{folder / 'split_info.json'}: has no list `split` of frame numbers")
    return splits


def _test_names(metadata: Path) -> set[str]:
    with metadata.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"UID", "Test Split Index"} <= set(rows[0]):
        raise DataError(f"{metadata}: has no columns UID and Test Split Index")
    return {
        f"{row['UID']}/split_{int(index)}"
        for row in rows
        for index in (row["Test Split Index"] or "").split(",")
        if index.strip()
    }


def _scene(
    path: Path, folders: dict[str, Path], numbers: dict[str, list[list[int]]], name: str
) -> Scene:
    scene, _, split = name.partition("/split_")
    folder, indices = folders[scene], numbers[scene][int(split)]
    file = folder / "camera" / f"split_{split}.json"
    tables = (file, folder / "split_info.json")
    intrinsics, poses = _cameras(file)
    same_count(f"{file}: cameras", poses, f"frames in split {split} of split_info.json", indices)
    pictures = folder / "color"
    if not pictures.is_dir():
        pictures = path / "videos" / "OmniWorld-Game" / scene / "color"
    frames = tuple(
        _frame(pictures / f"{n:06d}.png", folder / "depth" / f"{n:06d}.png", k, pose, tables)
        for n, k, pose in zip(indices, intrinsics, poses)
    )
    return Scene(name, frames, True, False)


def _cameras(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics [n, 3, 3] and poses [n, 4, 4]."""
    content = read_structured(file)
    try:
        focals = np.array(content["focals"], dtype=np.float64)
        centre = float(content["cx"]), float(content["cy"])
        turns = np.array(content["quats"], dtype=np.float64).reshape(-1, 4)
        moves = np.array(content["trans"], dtype=np.float64).reshape(-1, 3)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: expected focals, cx, cy, quats [n][4], trans [n][3] ({error!r})"
        ) from error
    same_count(f"{file}: focals", focals, "in quats", turns)
    same_count(f"{file}: trans", moves, "in quats", turns)
    intrinsics = [checked_intrinsics(pinhole(f, f, *centre), str(file)) for f in focals]
    camera_from_world = rigid(rotation_from_quaternion(turns[:, [1, 2, 3, 0]]), moves)
    return from_corner_origin(np.array(intrinsics)), inverted(camera_from_world)


def _frame(
    image: Path, depth: Path, intrinsics: np.ndarray, pose: np.ndarray, tables: tuple[Path, ...]
) -> Frame:
    return Frame(
        name=image.stem,
        image_source=partial(read_rgb, image),
        depth_source=partial(fitting, partial(_depth, depth), depth, image),
        intrinsics_source=intrinsics,
        pose_source=pose,
        files=(image, depth, *tables),
    )


def _depth(path: Path) -> np.ndarray:
    codes = read_codes(path)
    buffer = codes.astype(np.float64) / 65535
    z = buffer / (1000 - 999 * buffer) / 0.004
    z[(buffer < _NEAR) | (codes > _SKY)] = 0
    return measured(z)
