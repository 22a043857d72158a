"""Predictions of sequences as files: what an evaluation exports, and what a rival brings.

One folder per sequence: `points.npz` (frame names, poses, points, confidence) and the poses as
text. docs/predictions.md describes the format for others. An export is itself readable as the
prediction of a rival.

Exported points are compact: depth as its logarithm over the sequence's median depth in steps of
1/4096 (0.02 %), rays x / z and y / z in steps of 1/4096 within +-8. Scores are always computed from
the files.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from flow3r.data.readers.poses import read_tum
from flow3r.errors import DataError
from flow3r.evaluation.compact import from_steps, to_steps, write_npz
from flow3r.evaluation.sequence import SequencePrediction
from flow3r.evaluation.tum import write_tum
from flow3r.files import write_atomically

POINTS, POSES_TEXT, POSES_ARRAY = "points.npz", "poses.txt", "poses.npy"
STEPS = 4096.0
"""Of the logarithm of depth and of rays, per unit."""
PLAIN = ("local_points", "world_points")
COMPACT = ("log_depth", "rays_x", "rays_y", "median_depth")
KNOWN = ("names", "world_from_camera", "confidence", "fingerprint", *PLAIN, *COMPACT)


def sequence_folder(folder: Path, sequence: str) -> Path:
    """Where the files of a sequence lie. Raises DataError for a name that leaves the folder."""
    parts = Path(sequence).parts
    if not parts or Path(sequence).is_absolute() or ".." in parts:
        raise DataError(f"sequence {sequence!r} cannot name a folder")
    return folder.joinpath(*parts)


def write_prediction(
    folder: Path,
    prediction: SequencePrediction,
    times: Sequence[float],
    fingerprint: Mapping[str, str],
) -> None:
    """Write the files of a sequence, each atomically; points.npz comes last and completes them.

    `times` [N] go into the text, `fingerprint` says what the prediction belongs to. Needs poses;
    local points must lie in front of the camera. World points are kept where the model predicts
    them beside the local ones.
    """
    target = sequence_folder(folder, prediction.sequence)
    arrays = {
        "names": np.array(prediction.frames),
        "fingerprint": np.array(json.dumps(dict(fingerprint), sort_keys=True)),
        "world_from_camera": prediction.world_from_camera,
    }
    if prediction.local_points is not None:
        arrays |= _encoded(prediction)
    if prediction.world_points is not None:
        arrays["world_points"] = prediction.world_points.astype(np.float32)
    if prediction.confidence is not None:
        arrays["confidence"] = np.rint(prediction.confidence * 255.0).astype(np.uint8)

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # a file object: numpy would append .npz to a name
            write_npz(file, arrays)

    write_tum(target / POSES_TEXT, prediction.world_from_camera, times)
    write_atomically(target / POINTS, write)


def exported_fingerprint(folder: Path, sequence: str) -> dict[str, str] | None:
    """What the exported prediction of a sequence belongs to; None where there is none yet.

    Raises DataError for a file that cannot be read or was not exported by us.
    """
    path = sequence_folder(folder, sequence) / POINTS
    if not path.exists():
        return None
    with _opened(path) as file:
        if "fingerprint" not in file.files:
            raise DataError(f"{path}: no export of ours (no fingerprint); use another output_dir")
        return json.loads(str(_member(path, file, "fingerprint")))


def read_prediction(folder: Path, sequence: str, frames: tuple[str, ...]) -> SequencePrediction:
    """The prediction of a sequence, frames in the order of `frames`.

    Without frame names in points.npz there must be one pose and one pointmap per frame, in that
    order. Raises DataError naming the file and what is wrong with it.
    """
    target = sequence_folder(folder, sequence)
    arrays = _read_points(target / POINTS) if (target / POINTS).exists() else {}
    poses = _read_poses(target, arrays)
    points = {name: arrays.get(name) for name in (*PLAIN, "confidence")}
    if poses is None and all(points[name] is None for name in PLAIN):
        raise DataError(
            f"{target}: no prediction; expected {POSES_TEXT} or {POSES_ARRAY}, {POINTS}, or both"
        )
    names = tuple(str(name) for name in arrays["names"]) if "names" in arrays else frames
    for what, value in {"poses": poses, **points}.items():
        if value is not None and len(value) != len(names):
            where = "frame names" if "names" in arrays else "frames of the benchmark"
            raise DataError(f"{target}: {len(value)} {what} for {len(names)} {where}")
    return SequencePrediction(sequence, names, poses, **points).select(frames)


def absent_sequences(folder: Path, sequences: Sequence[str]) -> list[str]:
    """Those of the sequences for which `folder` holds nothing."""
    files = (POINTS, POSES_TEXT, POSES_ARRAY)
    return [
        name
        for name in sequences
        if not any((sequence_folder(folder, name) / file).exists() for file in files)
    ]


def _encoded(prediction: SequencePrediction) -> dict[str, np.ndarray]:
    points = prediction.local_points  # [N, h, w, 3]
    if not (points[..., 2] > 0).all():
        raise DataError(f"{prediction.sequence}: predicted points lie behind their camera")
    unit = float(np.median(points[..., 2]))
    encode: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "log_depth": lambda p: np.log(p[..., 2] / unit),
        "rays_x": lambda p: p[..., 0] / p[..., 2],
        "rays_y": lambda p: p[..., 1] / p[..., 2],
    }
    # Frame by frame: the intermediate float64 arrays would be several times the points.
    return {"median_depth": np.array(unit)} | {
        name: np.stack([to_steps(part(frame.astype(np.float64)), STEPS) for frame in points])
        for name, part in encode.items()
    }


def _decoded(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Local points [N, h, w, 3] float32."""
    points = np.empty((*arrays["log_depth"].shape, 3), np.float32)
    for index, frame in enumerate(points):
        depth = np.exp(from_steps(arrays["log_depth"][index], STEPS)) * arrays["median_depth"]
        frame[..., 0] = from_steps(arrays["rays_x"][index], STEPS) * depth
        frame[..., 1] = from_steps(arrays["rays_y"][index], STEPS) * depth
        frame[..., 2] = depth
    return points


def _read_points(path: Path) -> dict[str, np.ndarray]:
    """The arrays of points.npz with points and confidence decoded."""
    with _opened(path) as file:
        unknown = sorted(set(file.files) - set(KNOWN))
        if unknown:
            raise DataError(f"{path}: unknown array {unknown[0]!r}; valid names are {list(KNOWN)}")
        held = [name for name in COMPACT if name in file.files]
        if held and len(held) < len(COMPACT):
            raise DataError(f"{path}: {held} without the rest of {list(COMPACT)}")
        arrays = {name: _member(path, file, name) for name in file.files if name != "fingerprint"}
    if held:
        arrays["local_points"] = _decoded(arrays)
    for name in (*PLAIN, "confidence"):
        if name in arrays:
            arrays[name] = _as_float32(path, name, arrays[name])
    return arrays


def _as_float32(path: Path, name: str, value: np.ndarray) -> np.ndarray:
    if name == "confidence" and value.dtype == np.uint8:
        return value.astype(np.float32) / np.float32(255.0)
    if value.dtype.kind != "f":
        raise DataError(f"{path}: {name} is {value.dtype}; expected float16 or float32")
    return value.astype(np.float32, copy=False)


def _read_poses(target: Path, arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """world_from_camera [N, 4, 4] float64: an array first, for its precision, then the text."""
    if (target / POSES_ARRAY).exists():
        path = target / POSES_ARRAY
        try:
            poses = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"cannot read poses {path}: {error}") from None
    elif "world_from_camera" in arrays:
        path, poses = target / POINTS, arrays["world_from_camera"]
    elif (target / POSES_TEXT).exists():
        return read_tum(target / POSES_TEXT).world_from_camera
    else:
        return None
    if poses.ndim != 3 or poses.shape[1:] not in ((4, 4), (3, 4)) or poses.dtype.kind != "f":
        raise DataError(
            f"{path}: poses are {poses.dtype} of shape {poses.shape}; expected floats [N, 4, 4] "
            "or [N, 3, 4], world_from_camera"
        )
    whole = np.tile(np.eye(4), (len(poses), 1, 1))
    whole[:, :3] = poses[:, :3]
    return whole


def _opened(path: Path) -> np.lib.npyio.NpzFile:
    try:
        file = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read predictions {path}: {error}") from None
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise DataError(f"{path} is no npz file (one array, written with numpy.save)")
    return file


def _member(path: Path, file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    try:
        return file[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.zlib.error) as error:
        raise DataError(f"cannot read {name!r} in predictions {path}: {error}") from None
