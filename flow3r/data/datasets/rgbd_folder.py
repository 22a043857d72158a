"""Any RGB-D recording in a folder of its own, described by settings.

A scene is a folder with pictures and, as far as they exist, depth maps, poses and a calibration;
the path is such a folder (its scene is called by the folder's name) or holds several. Files are
found by patterns relative to the scene's folder and belong together in natural order, one for one.

Depth: 16-bit PNG (`depth_per_unit` codes per unit, `invalid` codes = none), .npy, .npz
(`depth_key`), .exr; or a rectified pair's disparity, z = focal baseline / (disparity + doffs).
Poses: one 4x4 file per frame, or one file with a flattened 4x4 per line, four lines per pose, or
TUM's `seconds tx ty tz qx qy qz qw`; direction and camera axes as the settings say.
Calibration: a file with a 3x3 or 4x4 matrix or fx fy cx cy, a .json with fx, fy, cx, cy, one per
frame or one for all; or the four numbers in `calibration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from flow3r.config import require
from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.axes import inverted, opencv_from_ned, opencv_from_opengl
from flow3r.data.readers.calibration import fitting
from flow3r.data.readers.depth import (
    depth_from_disparity,
    read_depth_exr,
    read_depth_npy,
    read_depth_npz,
    read_depth_png,
)
from flow3r.data.readers.images import EXTENSIONS, read_rgb
from flow3r.data.readers.intrinsics import (
    checked_intrinsics,
    from_corner_origin,
    pinhole,
    read_intrinsics,
)
from flow3r.data.readers.listing import files_in, folders_in, natural, same_count
from flow3r.data.readers.numbers import read_lines
from flow3r.data.readers.poses import read_pose, read_pose_blocks, read_pose_lines, read_tum
from flow3r.data.readers.structured import read_structured
from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError

LAYOUT = Layout(
    name="rgbd_folder",
    files="[<scene>/]images/*, depth/*, poses.txt, intrinsics.txt (patterns in the settings)",
    depth="as the settings say: 16-bit PNG (default mm, 0 = none), .npy, .npz, .exr, disparity",
    poses="as the settings say: direction, axes (OpenCV, OpenGL, NED); 4x4 or TUM",
    splits="all",
    motion="as the settings say",
)
_AXES = {"opencv": np.asarray, "opengl": opencv_from_opengl, "ned": opencv_from_ned}


@dataclass(frozen=True)
class Disparity:
    """Of a rectified pair: z = focal * baseline / (disparity + doffs), in the baseline's unit."""

    focal: float
    baseline: float
    doffs: float = 0.0


@dataclass(frozen=True)
class Settings:
    """Where the files are and what they mean. An empty pattern: the recording has none."""

    images: str = "images/*"
    depth: str = "depth/*"
    poses: str = "poses.txt"
    intrinsics: str = "intrinsics.txt"
    calibration: tuple[float, ...] = ()
    """fx, fy, cx, cy in place of a file."""
    depth_per_unit: float = 1000.0
    """PNG codes per unit of the poses; numbers of other files are divided by it too."""
    invalid: tuple[int, ...] = (0,)
    """PNG codes that mean none."""
    depth_key: str = "depth"
    """The array in .npz files."""
    disparity: Disparity | None = None
    """Given: the depth files hold disparities in pixels (and depth_per_unit codes per pixel)."""
    pose_direction: Literal["world_from_camera", "camera_from_world"] = "world_from_camera"
    axes: Literal["opencv", "opengl", "ned"] = "opencv"
    first_pixel: Literal["centre", "corner"] = "centre"
    """Whether the first pixel's centre is (0, 0) or, as in COLMAP's calibrations, (0.5, 0.5)."""
    metric: bool = True
    dynamic: bool = False

    def __post_init__(self) -> None:
        require(self.depth_per_unit > 0, f"depth_per_unit={self.depth_per_unit} must be above 0")
        require(
            len(self.calibration) in (0, 4),
            f"calibration={self.calibration} must be fx, fy, cx, cy",
        )


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """The path itself if it is a scene, otherwise every folder in it that is one."""
    if any(path.glob(settings.images)):
        folders = {path.resolve().name: path}
    else:
        found = (name for name in folders_in(path, "*") if any((path / name).glob(settings.images)))
        folders = {name: path / name for name in found}
    read = partial(_scene, folders, settings)
    return RecordedDataset(LAYOUT, path, settings, {"all": tuple(folders)}, read)


def _scene(folders: dict[str, Path], settings: Settings, name: str) -> Scene:
    folder = folders[name]
    images = files_in(folder, settings.images)
    images = [image for image in images if image.suffix.lower() in EXTENSIONS]
    depths = _one_each(folder, settings.depth, images)
    poses, seconds, tables = _poses(folder, settings, images)
    cameras = _cameras(folder, settings, images)
    frames = []
    for n, image in enumerate(images):
        depth, pose, camera = depths[n], poses[n], cameras[n]
        files = (image, depth, pose, camera, *tables)
        read = depth and partial(_depth, depth, settings)
        source = pose
        if isinstance(pose, Path):
            source = partial(_pose_file, pose, settings)
        frames.append(
            Frame(
                name=image.stem,
                image_source=partial(read_rgb, image),
                depth_source=depth and partial(fitting, read, depth, image),
                intrinsics_source=_camera_source(camera, settings),
                pose_source=source,
                seconds=seconds[n],
                files=tuple(file for file in files if isinstance(file, Path)),
            )
        )
    return Scene(name, tuple(frames), settings.dynamic, settings.metric)


def _one_each(folder: Path, pattern: str, images: list[Path]) -> list[Path | None]:
    """The files of a pattern, one for every picture; [None, ...] for an empty pattern."""
    if not pattern:
        return [None] * len(images)
    files = files_in(folder, pattern)
    same_count(f"{folder / pattern}: files", files, "pictures", images)
    return list(files)


def _poses(folder: Path, settings: Settings, images: list[Path]) -> tuple[list, list, list[Path]]:
    """Of every picture: a pose [4, 4], a file that holds one, or None; and its time, or None. And
    the file that holds the poses of all."""
    untimed: list = [None] * len(images)
    if not settings.poses:
        return untimed, untimed, []
    files = sorted(folder.glob(settings.poses), key=natural)
    if len(files) != 1 or (len(images) == 1 and _numbers(files[0]) == 16):
        return _one_each(folder, settings.poses, images), untimed, []
    [file] = files
    columns = _columns(file)
    seconds = untimed
    if columns == 8:
        track = read_tum(file)
        poses, seconds = track.world_from_camera, track.seconds.tolist()
    elif columns in (4, 16):
        poses = read_pose_blocks(file) if columns == 4 else read_pose_lines(file)
    else:
        raise DataError(f"{file}: {columns} numbers in a line; expected 16, 4 or (TUM) 8")
    same_count(f"{file}: poses", poses, "pictures", images)
    return [_converted(pose, settings) for pose in poses], seconds, [file]


def _pose_file(path: Path, settings: Settings) -> np.ndarray:
    return _converted(read_pose(path), settings)


def _converted(pose: np.ndarray, settings: Settings) -> np.ndarray:
    if settings.pose_direction == "camera_from_world":
        pose = inverted(pose)
    return _AXES[settings.axes](pose)


def _cameras(folder: Path, settings: Settings, images: list[Path]) -> list:
    """Of every picture: its calibration's file, or the four numbers, or None."""
    if settings.calibration or not settings.intrinsics:
        return [settings.calibration or None] * len(images)
    files = files_in(folder, settings.intrinsics)
    if len(files) == 1:
        return files * len(images)
    return list(_one_each(folder, settings.intrinsics, images))


def _camera_source(camera: Path | tuple[float, ...] | None, settings: Settings):
    return None if camera is None else partial(_camera, camera, settings)


def _camera(camera: Path | tuple[float, ...], settings: Settings) -> np.ndarray:
    if not isinstance(camera, Path):
        found = pinhole(*camera)
    elif camera.suffix == ".json":
        content = read_structured(camera)
        try:
            found = pinhole(*(float(content[key]) for key in ("fx", "fy", "cx", "cy")))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{camera}: expected numbers fx, fy, cx, cy ({error!r})") from error
    else:
        found = read_intrinsics(camera)
    found = checked_intrinsics(found, str(camera))
    return from_corner_origin(found) if settings.first_pixel == "corner" else found


def _depth(path: Path, settings: Settings) -> np.ndarray:
    scale = 1 / settings.depth_per_unit
    if path.suffix == ".png":
        values = read_depth_png(path, settings.depth_per_unit, settings.invalid)
    elif path.suffix == ".npy":
        values = read_depth_npy(path, scale)
    elif path.suffix == ".npz":
        values = read_depth_npz(path, settings.depth_key, scale)
    elif path.suffix == ".exr":
        values = read_depth_exr(path) * np.float32(scale)
    else:
        raise DataError(f"{path}: {path.suffix!r} is no depth file; known are .png .npy .npz .exr")
    if settings.disparity is None:
        return values
    known = settings.disparity
    depth = depth_from_disparity(values, known.focal, known.baseline, known.doffs)
    depth[values == 0] = 0
    return depth


def _columns(file: Path) -> int:
    lines = read_lines(file)
    return len(lines[0][1].replace(",", " ").split()) if lines else 0


def _numbers(file: Path) -> int:
    return sum(len(line.replace(",", " ").split()) for _, line in read_lines(file))
