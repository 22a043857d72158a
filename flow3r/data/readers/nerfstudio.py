"""transforms.json as NeRF tools write it (nerfstudio, instant-ngp, Blender).

Poses are camera to world with OpenGL axes; the centre of the first pixel is (0.5, 0.5). Both are
converted here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flow3r.data.readers.axes import opencv_from_opengl
from flow3r.data.readers.intrinsics import checked_intrinsics, from_corner_origin, pinhole
from flow3r.data.readers.lens import Lens
from flow3r.data.readers.structured import read_structured
from flow3r.errors import DataError

_RADIAL = ("k1", "k2", "p1", "p2", "k3", "k4")
_FISHEYE = ("k1", "k2", "k3", "k4")


@dataclass(frozen=True)
class NerfFrame:
    """One frame; paths are relative to the folder of the transforms.json."""

    image: str
    depth: str | None
    intrinsics: np.ndarray  # [3, 3]
    lens: Lens | None
    world_from_camera: np.ndarray  # [4, 4]


def read_transforms(path: Path) -> tuple[NerfFrame, ...]:
    """The frames in the order of the file.

    Raises DataError naming the file and the frame for what is missing.
    """
    content = read_structured(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise DataError(f"{path}: no list `frames` with anything in it")
    return tuple(_frame(path, content, frame, index) for index, frame in enumerate(frames))


def _frame(path: Path, shared: Mapping[str, Any], own: Any, index: int) -> NerfFrame:
    where = f"{path}, frame {index}"
    if not isinstance(own, dict) or not {"file_path", "transform_matrix"} <= set(own):
        raise DataError(f"{where}: needs file_path and transform_matrix")
    try:
        pose = np.array(own["transform_matrix"], dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{where}: transform_matrix is not a matrix of numbers") from None
    if pose.shape == (3, 4):
        pose = np.vstack([pose, [0, 0, 0, 1]])
    if pose.shape != (4, 4):
        raise DataError(f"{where}: transform_matrix is {list(pose.shape)}, not [4, 4] or [3, 4]")
    return NerfFrame(
        own["file_path"],
        own.get("depth_file_path"),
        _intrinsics({**shared, **own}, where),
        _lens({**shared, **own}),
        opencv_from_opengl(pose),
    )


def _intrinsics(values: Mapping[str, Any], where: str) -> np.ndarray:
    width, height = values.get("w"), values.get("h")
    focal_x = values.get("fl_x")
    if focal_x is None and width and "camera_angle_x" in values:
        focal_x = 0.5 * width / math.tan(0.5 * values["camera_angle_x"])
    if focal_x is None or not ((width and height) or {"cx", "cy"} <= set(values)):
        raise DataError(f"{where}: needs fl_x or camera_angle_x, and w and h or cx and cy")
    focal_y = values.get("fl_y", focal_x)
    centre_x = values["cx"] if "cx" in values else width / 2
    centre_y = values["cy"] if "cy" in values else height / 2
    matrix = pinhole(focal_x, focal_y, centre_x, centre_y)
    return from_corner_origin(checked_intrinsics(matrix, where))


def _lens(values: Mapping[str, Any]) -> Lens | None:
    fisheye = values.get("camera_model") == "OPENCV_FISHEYE"
    coefficients = tuple(float(values.get(n) or 0) for n in (_FISHEYE if fisheye else _RADIAL))
    if not any(coefficients):
        return None
    return Lens("fisheye" if fisheye else "radial", coefficients)
