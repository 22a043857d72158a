"""CO3Dv2's frame annotations, original and re-annotated, as frames. `co3d` says what is where."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flow3r.data.readers.axes import inverted, opencv_from_pytorch3d
from flow3r.data.readers.calibration import fitting
from flow3r.data.readers.depth import read_depth_half_png
from flow3r.data.readers.images import decoded, image_size, read_rgb
from flow3r.data.readers.intrinsics import checked_intrinsics, from_corner_origin, pinhole
from flow3r.data.readers.poses import rigid
from flow3r.data.readers.structured import read_structured
from flow3r.data.scenes import Frame
from flow3r.errors import DataError

_ISOTROPIC, _BOUNDS = "ndc_isotropic", "ndc_norm_image_bounds"


def read_original(root: Path, category: str) -> dict[str, tuple[Frame, ...]]:
    """Sequence -> frames in order of time, of `<category>/frame_annotations.jgz`."""
    file = root / category / "frame_annotations.jgz"
    content = read_structured(file)
    sequences: dict[str, list[tuple[int, Frame]]] = {}
    try:
        for entry in content:
            frame = _original(root, file, entry)
            sequences.setdefault(entry["sequence_name"], []).append((entry["frame_number"], frame))
    except DataError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: not a list of CO3D frame annotations ({error!r})") from error
    return {
        name: tuple(frame for _, frame in sorted(frames, key=lambda numbered: numbered[0]))
        for name, frames in sequences.items()
    }


def read_sequence_names(root: Path, category: str) -> tuple[str, ...]:
    """The sequences of a category, of `<category>/sequence_annotations.jgz`."""
    file = root / category / "sequence_annotations.jgz"
    try:
        return tuple(entry["sequence_name"] for entry in read_structured(file))
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}: not a list of CO3D sequence annotations ({error!r})") from error


def read_reannotated(root: Path, file: Path) -> dict[str, tuple[Frame, ...]]:
    """Sequence -> frames, of `<category>_<split>.jgz`."""
    try:
        return {
            sequence: tuple(_reannotated(root, file, entry) for entry in entries)
            for sequence, entries in read_structured(file).items()
        }
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{file}: not {{sequence: [frames]}} annotations ({error!r})") from error


def read_set_list(file: Path) -> dict[str, tuple[str, ...]]:
    """Split -> its sequences, of a set list ({split: [[sequence, frame, path], ...]})."""
    content = read_structured(file)
    try:
        return {
            split: tuple(dict.fromkeys(sequence for sequence, *_ in entries))
            for split, entries in content.items()
        }
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{file}: not a CO3D set list ({error!r})") from error


def _original(root: Path, file: Path, entry: Mapping[str, Any]) -> Frame:
    image = root / entry["image"]["path"]
    depth, mask, scale = None, None, 1.0
    if entry.get("depth"):
        depth = root / entry["depth"]["path"]
        scale = float(entry["depth"]["scale_adjustment"])
        if entry["depth"].get("mask_path"):
            mask = root / entry["depth"]["mask_path"]
    view = entry.get("viewpoint")
    height, width = entry["image"]["size"]
    intrinsics = pose = None
    if view:
        form = view.get("intrinsics_format", _BOUNDS)
        intrinsics = _pixels(file, form, view, (height, width))
        pose = opencv_from_pytorch3d(np.array(view["R"]), np.array(view["T"]))
    return Frame(
        name=image.stem,
        image_source=partial(_of_size, image, (height, width)),
        depth_source=depth and partial(_depth, depth, mask, scale, image),
        intrinsics_source=intrinsics,
        pose_source=pose,
        seconds=entry.get("frame_timestamp"),
        files=tuple(path for path in (image, depth, mask, file) if path),
    )


def _reannotated(root: Path, file: Path, entry: Mapping[str, Any]) -> Frame:
    image = root / entry["filepath"]
    depth = Path(f"{image.parent.with_name('depths') / image.name}.geometric.png")
    mask = image.parent.with_name("depth_masks") / f"{image.stem}.png"
    mask = mask if mask.is_file() else None
    depth = depth if depth.is_file() else None
    if "extri" in entry:
        extrinsics = np.array(entry["extri"], dtype=np.float64)
        pose = inverted(rigid(extrinsics[:3, :3], extrinsics[:3, 3]))
        intrinsics: Any = checked_intrinsics(np.array(entry["intri"]), f"{file}, {image.name}")
    else:
        pose = opencv_from_pytorch3d(np.array(entry["R"]), np.array(entry["T"]))
        intrinsics = partial(_pixels_of, file, entry, image)
    return Frame(
        name=image.stem,
        image_source=partial(read_rgb, image),
        depth_source=depth and partial(_depth, depth, mask, 1.0, image),
        intrinsics_source=intrinsics,
        pose_source=pose,
        files=tuple(path for path in (image, depth, mask, file) if path),
    )


def _pixels_of(file: Path, view: Mapping[str, Any], image: Path) -> np.ndarray:
    return _pixels(file, _ISOTROPIC, view, image_size(image))


def _pixels(file: Path, form: str, view: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Intrinsics [3, 3] from PyTorch3D's NDC: x to the left and y up from the picture's centre, in
    units of half the shorter side (isotropic) or of half of each side (bounds)."""
    height, width = size
    if form == _ISOTROPIC:
        unit_x = unit_y = min(height, width) / 2
    elif form == _BOUNDS:
        unit_x, unit_y = width / 2, height / 2
    else:
        raise DataError(f"{file}: intrinsics_format {form!r}; known are {_ISOTROPIC}, {_BOUNDS}")
    focal_x, focal_y = view["focal_length"]
    centre_x, centre_y = view["principal_point"]
    matrix = pinhole(
        focal_x * unit_x,
        focal_y * unit_y,
        width / 2 - centre_x * unit_x,
        height / 2 - centre_y * unit_y,
    )
    return from_corner_origin(checked_intrinsics(matrix, str(file)))


def _of_size(image: Path, size: tuple[int, int]) -> np.ndarray:
    pixels = read_rgb(image)
    if pixels.shape[:2] != tuple(size):
        raise DataError(
            f"{image}: (height, width) {pixels.shape[:2]}, but its annotation says {tuple(size)}"
        )
    return pixels


def _depth(depth: Path, mask: Path | None, scale: float, image: Path) -> np.ndarray:
    values = fitting(partial(read_depth_half_png, depth, scale), depth, image)
    if mask is not None:
        known = decoded(mask, "an 8-bit depth mask", lambda opened: np.asarray(opened.convert("L")))
        if known.shape != values.shape:
            raise DataError(f"{mask}: {known.shape} does not fit {depth.name} of {values.shape}")
        values[known == 0] = 0
    return values
