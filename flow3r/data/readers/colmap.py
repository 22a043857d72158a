"""COLMAP's sparse models, text and binary: cameras, images, points.

A model is a folder with cameras, images and points3D as `.txt` or `.bin`. COLMAP's poses are world
to camera with OpenCV axes; the centre of its first pixel is (0.5, 0.5). Both are converted here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow3r.data.readers.axes import inverted, rotation_from_quaternion
from flow3r.data.readers.depth import measured
from flow3r.data.readers.intrinsics import from_corner_origin, pinhole
from flow3r.data.readers.lens import Lens
from flow3r.data.readers.numbers import numbered_lines, read_lines
from flow3r.data.readers.poses import rigid
from flow3r.errors import DataError

MODELS = {  # number in binary files -> name, number of parameters, of which focal lengths
    0: ("SIMPLE_PINHOLE", 3, 1),
    1: ("PINHOLE", 4, 2),
    2: ("SIMPLE_RADIAL", 4, 1),
    3: ("RADIAL", 5, 1),
    4: ("OPENCV", 8, 2),
    5: ("OPENCV_FISHEYE", 8, 2),
    6: ("FULL_OPENCV", 12, 2),
}


@dataclass(frozen=True)
class ColmapCamera:
    """One calibration."""

    height: int
    width: int
    intrinsics: np.ndarray  # [3, 3], first pixel's centre at (0, 0)
    lens: Lens | None
    """None for a camera without distortion."""


@dataclass(frozen=True)
class ColmapImage:
    """One registered image."""

    name: str
    camera: int
    world_from_camera: np.ndarray  # [4, 4]


@dataclass(frozen=True)
class ColmapModel:
    """A sparse reconstruction; its scale is arbitrary."""

    cameras: dict[int, ColmapCamera]
    images: tuple[ColmapImage, ...]  # ordered by name
    files: tuple[Path, Path]
    """What was read: cameras and images."""


def read_colmap(folder: Path) -> ColmapModel:
    """The model in a folder: binary if there is one, otherwise text.

    Raises DataError for missing or damaged files.
    """
    binary = folder / "cameras.bin", folder / "images.bin"
    text = folder / "cameras.txt", folder / "images.txt"
    if binary[0].is_file():
        files, cameras, images = binary, _binary_cameras(binary[0]), _binary_images(binary[1])
    elif text[0].is_file():
        files, cameras, images = text, _text_cameras(text[0]), _text_images(text[1])
    else:
        raise DataError(f"{folder}: neither cameras.bin nor cameras.txt; expected a COLMAP model")
    for image in images:
        if image.camera not in cameras:
            raise DataError(f"{folder}: image {image.name} names camera {image.camera}, not there")
    return ColmapModel(cameras, tuple(sorted(images, key=lambda image: image.name)), files)


def read_colmap_depth(path: Path) -> np.ndarray:
    """A dense map of COLMAP's stereo: text `width&height&1&`, then float32 rows; 0 = none."""
    try:
        content = path.read_bytes()
        *size, values = content.split(b"&", 3)
        width, height, channels = (int(number) for number in size)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a COLMAP depth map ({error})") from error
    if channels != 1 or len(values) != 4 * width * height:
        raise DataError(
            f"{path}: {len(values)} bytes are not float32 of {width} x {height} x {channels}"
        )
    return measured(np.frombuffer(values, "<f4").reshape(height, width))


def _text_cameras(path: Path) -> dict[int, ColmapCamera]:
    cameras = {}
    for number, line in read_lines(path):
        words = line.split()
        try:
            key, width, height = int(words[0]), int(words[2]), int(words[3])
            parameters = [float(word) for word in words[4:]]
        except (ValueError, IndexError):
            raise DataError(f"{path}, line {number}: {line[:60]!r} is not a camera") from None
        cameras[key] = _camera(path, words[1], parameters, (height, width))
    return cameras


def _text_images(path: Path) -> list[ColmapImage]:
    """Two lines per image; the second one (observations) may be empty and is passed over."""
    images = []
    observations = 0  # the number of the line that holds them
    for number, line in numbered_lines(path):
        if number == observations or not line or line.startswith("#"):
            continue
        words = line.split(maxsplit=9)
        try:
            pose, camera, name = [float(word) for word in words[1:8]], int(words[8]), words[9]
        except (ValueError, IndexError):
            raise DataError(f"{path}, line {number}: {line[:60]!r} is not an image") from None
        images.append(_image(path, name, camera, pose))
        observations = number + 1
    return images


def _binary_cameras(path: Path) -> dict[int, ColmapCamera]:
    reader = _Binary(path)
    cameras = {}
    for _ in range(reader.take("<Q")[0]):
        key, model, width, height = reader.take("<iiQQ")
        if model not in MODELS:
            raise DataError(f"{path}: camera model {model} is not known; known are {MODELS}")
        name, count, _ = MODELS[model]
        cameras[key] = _camera(path, name, list(reader.take(f"<{count}d")), (height, width))
    return cameras


def _binary_images(path: Path) -> list[ColmapImage]:
    reader = _Binary(path)
    images = []
    for _ in range(reader.take("<Q")[0]):
        _, *pose, camera = reader.take("<i7di")
        name = reader.text()
        (observations,) = reader.take("<Q")
        reader.skip(24 * observations)
        images.append(_image(path, name, camera, pose))
    return images


class _Binary:
    """Reads a binary file in order; DataError where it ends early."""

    def __init__(self, path: Path):
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        self._path, self._place = path, 0

    def take(self, layout: str) -> tuple:
        start = self._place
        self.skip(struct.calcsize(layout))
        return struct.unpack_from(layout, self._content, start)

    def text(self) -> str:
        end = self._content.find(b"\0", self._place)
        start = self._place
        self.skip(end + 1 - start if end >= 0 else len(self._content) + 1)
        return self._content[start:end].decode("utf-8")

    def skip(self, count: int) -> None:
        self._place += count
        if self._place > len(self._content):
            raise DataError(f"{self._path}: ends after {len(self._content)} bytes, too early")


def _camera(path: Path, model: str, parameters: list[float], size: tuple[int, int]) -> ColmapCamera:
    shapes = {name: (count, focals) for name, count, focals in MODELS.values()}
    if model not in shapes or len(parameters) != shapes[model][0]:
        raise DataError(
            f"{path}: camera {model} with {len(parameters)} parameters; expected one of "
            f"{ {name: count for name, (count, _) in shapes.items()} }"
        )
    focals = shapes[model][1]
    centre = parameters[focals : focals + 2]
    intrinsics = pinhole(parameters[0], parameters[focals - 1], *centre)
    return ColmapCamera(
        *size, from_corner_origin(intrinsics), _lens(model, parameters[focals + 2 :])
    )


def _lens(model: str, distortion: list[float]) -> Lens | None:
    """COLMAP's coefficients come in OpenCV's order, but for the purely radial models."""
    if not any(distortion):
        return None
    return Lens("fisheye" if model == "OPENCV_FISHEYE" else "radial", tuple(distortion))


def _image(path: Path, name: str, camera: int, pose: list[float]) -> ColmapImage:
    """`pose`: qw qx qy qz tx ty tz, world to camera."""
    quaternion = np.array([*pose[1:4], pose[0]])
    if not np.isfinite(pose).all() or np.linalg.norm(quaternion) < 1e-6:
        raise DataError(f"{path}: image {name} has the pose {pose}, which is none")
    camera_from_world = rigid(rotation_from_quaternion(quaternion), np.array(pose[4:]))
    return ColmapImage(name, camera, inverted(camera_from_world))
