"""A COLMAP project: pictures and a sparse model, text or binary.

The path is such a folder or holds several: `images/`, `sparse/0/{cameras,images}.{bin,txt}` (the
setting `model` for another place, e.g. 'sparse' of an undistorted workspace). Lens distortion
(COLMAP's radial, OpenCV and fisheye models) is taken out of pictures and depth. Static; the scale
of a reconstruction is arbitrary unless `metric` is set.

Depth (optional, setting `depth`): a folder with a `<picture's stem>.png` (16-bit,
`depth_per_unit` codes per unit of the poses, 0 = none) or `.npy` per picture, or COLMAP's own
`stereo/depth_maps` with `<picture>.geometric.bin`, 0 = none.
Poses: world to camera, OpenCV axes; first pixel's centre (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flow3r.config import require
from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.calibration import fitting
from flow3r.data.readers.colmap import (
    ColmapCamera,
    ColmapImage,
    ColmapModel,
    read_colmap,
    read_colmap_depth,
)
from flow3r.data.readers.depth import read_depth_npy, read_depth_png
from flow3r.data.readers.lens import straight_depth, straight_rgb
from flow3r.data.readers.listing import folders_in
from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError

LAYOUT = Layout(
    name="colmap",
    files="[<scene>/]images/, sparse/0/{cameras,images}.{bin,txt}",
    depth="optional; 16-bit PNG (default mm, 0 = none), .npy, or COLMAP's .geometric.bin",
    poses="world to camera, OpenCV, COLMAP sparse model",
    splits="all",
    motion="static",
)


@dataclass(frozen=True)
class Settings:
    """Where the parts are, below the scene's folder."""

    images: str = "images"
    model: str = "sparse/0"
    depth: str = ""
    """Empty: no depth."""
    depth_per_unit: float = 1000.0
    metric: bool = False

    def __post_init__(self) -> None:
        require(self.depth_per_unit > 0, f"depth_per_unit={self.depth_per_unit} must be above 0")


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """The path itself if it holds a model, otherwise every folder in it that does."""
    if (path / settings.model).is_dir():
        folders = {path.resolve().name: path}
    else:
        found = (name for name in folders_in(path, "*") if (path / name / settings.model).is_dir())
        folders = {name: path / name for name in found}
    read = partial(_scene, folders, settings)
    return RecordedDataset(LAYOUT, path, settings, {"all": tuple(folders)}, read)


def _scene(folders: dict[str, Path], settings: Settings, name: str) -> Scene:
    folder = folders[name]
    model = read_colmap(folder / settings.model)
    if not model.images:
        raise DataError(f"{folder / settings.model}: the model has no image")
    frames = tuple(_frame(folder, settings, model, image) for image in model.images)
    return Scene(name, frames, False, settings.metric)


def _frame(folder: Path, settings: Settings, model: ColmapModel, found: ColmapImage) -> Frame:
    image, camera = folder / settings.images / found.name, model.cameras[found.camera]
    depth, read = None, None
    if settings.depth:
        depth = _depth_file(folder / settings.depth, found.name)
        read = partial(fitting, partial(_depth, depth, settings), depth, image)
        read = partial(straight_depth, read, image, camera.intrinsics, camera.lens)
    return Frame(
        name=Path(found.name).with_suffix("").as_posix(),
        image_source=partial(picture, image, camera),
        depth_source=read,
        intrinsics_source=camera.intrinsics,
        pose_source=found.world_from_camera,
        files=(image, *([depth] if depth else []), *model.files),
    )


def picture(image: Path, camera: ColmapCamera) -> np.ndarray:
    """The picture of a COLMAP camera without distortion; DataError if it has another size."""
    pixels = straight_rgb(image, camera.intrinsics, camera.lens)
    if pixels.shape[:2] != (camera.height, camera.width):
        raise DataError(
            f"{image}: (height, width) {pixels.shape[:2]}, but its camera has "
            f"{(camera.height, camera.width)}"
        )
    return pixels


def _depth_file(folder: Path, name: str) -> Path:
    """The first of the three forms that is there; otherwise the PNG, which will be missed."""
    stem = folder / Path(name).with_suffix("")
    forms = [Path(f"{folder / name}.geometric.bin"), stem.with_suffix(".npy")]
    return next((form for form in forms if form.is_file()), Path(f"{stem}.png"))


def _depth(path: Path, settings: Settings) -> np.ndarray:
    if path.suffix == ".bin":
        return read_colmap_depth(path)
    if path.suffix == ".npy":
        return read_depth_npy(path)
    return read_depth_png(path, settings.depth_per_unit)
