"""CO3Dv2 (Reizenstein et al., ICCV 2021): turntable-like videos of objects in 51 categories.

The original download: `<category>/sequence_annotations.jgz` lists the sequences,
`<category>/frame_annotations.jgz` names each frame's picture, depth, masks and camera; splits by
the sequences of `<category>/set_lists/set_lists_<set_list>.json`.
With the setting `annotations`: per category and split a file `<annotations>/<category>_<split>.jgz`
({sequence: [frames]}) as the published relative-pose evaluations prepare them, with R, T,
focal_length and principal_point (PoseDiffusion, pi3) or extri [3][4] and intri [3][3] (VGGT's
training); pictures at `filepath`, depth and masks where the download has them.

Depth: 16-bit PNG whose bits are float16, times scale_adjustment, 0 = none; pixels outside the depth
mask = none. In the scale of the sequence's reconstruction: not metric. The re-annotated files lack
scale_adjustment (1 is taken, as VGGT's training does).
Cameras: PyTorch3D (x left, y up; row vectors, x_camera = x_world R + T), focal length and principal
point in NDC; extri is world to camera, OpenCV. Static.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from flow3r.config import require
from flow3r.data.datasets import co3d_annotations as annotations
from flow3r.data.datasets.recorded import Layout, RecordedDataset
from flow3r.data.readers.listing import folders_in
from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError

LAYOUT = Layout(
    name="co3d",
    files="<category>/frame_annotations.jgz, or <annotations>/<category>_<split>.jgz; pictures",
    depth="arbitrary unit, 16-bit PNG of float16 bits x scale_adjustment, 0 = none, depth masks",
    poses="PyTorch3D world to camera (row vectors), NDC intrinsics; or OpenCV extri, intri",
    splits="all; train, val, test from set_lists_<set_list>.json; or <category>_<split>.jgz",
    motion="static",
)
_SPLITS = ("train", "val", "test")
_KINDS = ("frame", "sequence")
Sequences = dict[str, tuple[Frame, ...]]


@dataclass(frozen=True)
class Settings:
    """Which categories and which annotations."""

    categories: tuple[str, ...] = ()
    """Empty: all that are there."""
    set_list: str = ""
    """E.g. 'fewview_train', 'fewview_dev', 'manyview_dev_0'. Empty: no splits but `all`."""
    annotations: str = ""
    """Folder, below the dataset's, of <category>_<split>.jgz. Empty: the original annotations."""

    def __post_init__(self) -> None:
        require(
            not (self.set_list and self.annotations),
            f"set_list={self.set_list!r} and annotations={self.annotations!r}: choose one of them",
        )


def open_dataset(path: Path, settings: Settings) -> RecordedDataset:
    """Names of scenes are 'apple/110_13051_23361'."""
    if settings.annotations:
        return _reannotated(path, settings)
    categories = settings.categories or tuple(
        name.split("/")[0]
        for name in folders_in(path, "*")
        if (path / name / "frame_annotations.jgz").is_file()
    )
    original = lru_cache(maxsize=4)(partial(annotations.read_original, path))
    files = [path / c / "set_lists" / f"set_lists_{settings.set_list}.json" for c in categories]
    if settings.set_list:
        chosen = {c: annotations.read_set_list(file) for c, file in zip(categories, files)}
        lists = {
            split: tuple(f"{c}/{s}" for c in categories for s in chosen[c].get(split, ()))
            for split in _SPLITS
        }
        lists = {"all": tuple(dict.fromkeys(sum(lists.values(), ()))), **lists}
    else:
        names = {c: annotations.read_sequence_names(path, c) for c in categories}
        lists = {"all": tuple(f"{c}/{s}" for c in categories for s in names[c])}
    read = partial(_scene, lambda name: original(name.split("/")[0]))
    tables = [path / c / f"{kind}_annotations.jgz" for c in categories for kind in _KINDS]
    tables += files if settings.set_list else []
    return RecordedDataset(LAYOUT, path, settings, lists, read, tuple(tables))


def _reannotated(path: Path, settings: Settings) -> RecordedDataset:
    folder = path / settings.annotations
    read = lru_cache(maxsize=4)(partial(annotations.read_reannotated, path))
    lists: dict[str, tuple[str, ...]] = {}
    sources: dict[str, Path] = {}
    for split in _SPLITS:
        found: dict[str, Path] = {}
        for file in sorted(folder.glob(f"*_{split}.jgz")):
            category = file.name.removesuffix(f"_{split}.jgz")
            if not settings.categories or category in settings.categories:
                found |= {f"{category}/{sequence}": file for sequence in read(file)}
        if found:
            lists[split] = tuple(found)
            sources |= found
    lists = {"all": tuple(dict.fromkeys(sum(lists.values(), ()))), **lists}
    scene = partial(_scene, lambda name: read(sources[name]))
    return RecordedDataset(LAYOUT, path, settings, lists, scene, tuple(set(sources.values())))


def _scene(sequences: Callable[[str], Sequences], name: str) -> Scene:
    frames = sequences(name).get(name.split("/")[1])
    if not frames:
        raise DataError(f"co3d: sequence {name} is listed but its annotations hold no frame of it")
    return Scene(name, frames, False, False)
