"""ScanNet++ (Yeshwanth et al., ICCV 2023): DSLR or iPhone pictures, depth rendered from the scan.

`data/<scene>/dslr/`: `resized_images/DSCNNNNN.JPG` (1752 x 1168, fisheye), `colmap/`,
`render_depth/DSCNNNNN.png`. `data/<scene>/iphone/`: `rgb/frame_NNNNNN.jpg` (1920 x 1440),
`colmap/`, `render_depth/frame_NNNNNN.png`. The toolkit's `iphone.prepare_iphone_data` unpacks the
pictures of the iPhone, its `common.render` writes render_depth for both. The frames are those of
the COLMAP model. Lens distortion is taken out of pictures and depth here (with the focal length
kept, not by the official script dslr.undistort, which chooses another one). Static.

Depth: 16-bit PNG, millimetres, 0 = none, rendered from the laser scan's mesh with the picture's own
camera (not the iPhone's LiDAR). Poses: COLMAP, world to camera, OpenCV axes, aligned to the scan:
metres. Calibration: COLMAP's (OPENCV_FISHEYE, OPENCV), first pixel's centre (0.5, 0.5).

Splits: `all`, and the official lists `splits/<split>.txt` that are there (nvs_sem_train,
nvs_sem_val, nvs_test, sem_test), of which only scenes that are there count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from flow3r.data.datasets.colmap import picture
from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.calibration import fitting
from flow3r.data.readers.colmap import ColmapImage, ColmapModel, read_colmap
from flow3r.data.readers.depth import read_depth_png
from flow3r.data.readers.lens import straight_depth
from flow3r.data.readers.listing import folders_in, listed_splits
from flow3r.data.scenes import Frame, Scene

LAYOUT = Layout(
    name="scannetpp",
    files="data/<scene>/<dslr|iphone>/{resized_images|rgb, colmap, render_depth}",
    depth="mm, 16-bit PNG, 0 = none, rendered from the scan",
    poses="world to camera, OpenCV, COLMAP sparse model; lens distortion taken out",
    splits="all; nvs_sem_train, nvs_sem_val, nvs_test, sem_test from splits/<split>.txt",
    motion="static",
)
_PICTURES = {"dslr": "resized_images", "iphone": "rgb"}
_SPLITS = ("nvs_sem_train", "nvs_sem_val", "nvs_test", "sem_test")


@dataclass(frozen=True)
class Settings:
    """Which of the two recordings of a scene."""

    device: Literal["dslr", "iphone"] = "dslr"


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """All scenes below `path`/data that have the device's pictures; names are the folders'."""
    found = folders_in(path / "data", f"*/{settings.device}/colmap")
    names = tuple(name.split("/")[0] for name in found)
    lists = {"all": names}
    there = set(names)
    candidates = ((split, path / "splits" / f"{split}.txt") for split in _SPLITS)
    for split, listed in listed_splits(candidates).items():
        lists[split] = tuple(name for name in listed if name in there)
    return RecordedDataset(LAYOUT, path, settings, lists, partial(_scene, path, settings))


def _scene(path: Path, settings: Settings, name: str) -> Scene:
    folder = path / "data" / name / settings.device
    model = read_colmap(folder / "colmap")
    pictures = folder / _PICTURES[settings.device]
    frames = tuple(_frame(folder, pictures, model, image) for image in model.images)
    return Scene(name, frames, False, True)


def _frame(folder: Path, pictures: Path, model: ColmapModel, found: ColmapImage) -> Frame:
    camera = model.cameras[found.camera]
    name = Path(found.name)  # the iPhone's are 'video/frame_000000.jpg'
    image = pictures / name.name
    depth = folder / "render_depth" / f"{name.stem}.png"
    read = partial(fitting, partial(read_depth_png, depth, 1000.0), depth, image)
    return Frame(
        name=name.stem,
        image_source=partial(picture, image, camera),
        depth_source=partial(straight_depth, read, image, camera.intrinsics, camera.lens),
        intrinsics_source=camera.intrinsics,
        pose_source=found.world_from_camera,
        files=(image, depth, *model.files),
    )
