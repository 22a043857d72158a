"""Exported predictions: what the metrics need of a model, in a small file.

A changed metric re-scores these files; no model is needed. To stay small the arrays are rounded
(`rounded`) and the file holds the rounding's integers, differenced along the image rows, which
compress well:

- depth z: its logarithm in steps of 1/1024 (0.1 %);
- rays x / z and y / z: steps of 1/4096, within +-8;
- flow: displacement in steps of 1/32 px, within +-1023 px.

Scores are computed from the rounded arrays in the first place, so that scoring a file again gives
the same numbers to the last bit.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow3r.errors import DataError
from flow3r.evaluation.compact import from_steps, to_steps, write_npz
from flow3r.files import write_atomically

FORMAT = 1
_LOG_DEPTH_STEPS = 1024.0
_RAY_STEPS = 4096.0
_FLOW_STEPS = 32.0


@dataclass(frozen=True)
class ClipPredictions:
    """Predictions for M clips of N frames; scale-free geometry, flow in pixels."""

    scenes: tuple[str, ...]
    """One stable name per clip, the names of the evaluation clips."""
    world_from_camera: np.ndarray  # [M, N, 4, 4] float32
    local_points: np.ndarray  # [M, N, H, W, 3] float32, z > 0
    pairs: np.ndarray | None = None  # [P, 2] int64 (source, target)
    target_px: np.ndarray | None = None  # [M, P, H, W, 2] float32

    def __post_init__(self) -> None:
        """Refuse values that no metric could score. Raises DataError naming the scenes."""
        named = {
            "world_from_camera": self.world_from_camera,
            "local_points": self.local_points,
            "target_px": self.target_px,
        }
        for name, value in named.items():
            if value is None:
                continue
            if len(value) != len(self.scenes):
                raise DataError(f"{name} has {len(value)} clips for {len(self.scenes)} scenes")
            finite = np.isfinite(value.reshape(len(value), -1)).all(axis=1)
            if not finite.all():
                raise DataError(f"{name} is not finite for {_listed(self.scenes, ~finite)}")
        behind = (self.local_points[..., 2] <= 0).reshape(len(self.scenes), -1).any(axis=1)
        if behind.any():
            raise DataError(
                "local_points has depths that are not positive for " + _listed(self.scenes, behind)
            )
        if (self.pairs is None) != (self.target_px is None):
            raise DataError("pairs and target_px come together or not at all")

    def __len__(self) -> int:
        return len(self.scenes)

    def select(self, part: slice) -> ClipPredictions:
        """The clips of a slice."""
        flow = None if self.target_px is None else self.target_px[part]
        return ClipPredictions(
            self.scenes[part],
            self.world_from_camera[part],
            self.local_points[part],
            self.pairs,
            flow,
        )

    def rounded(self) -> ClipPredictions:
        """The predictions as a file keeps them; rounding twice changes nothing."""
        return _decode(self.scenes, _encode(self))


def concatenate_predictions(parts: list[ClipPredictions]) -> ClipPredictions:
    """Join predictions of the same frames, size and pairs. Raises DataError if they differ."""
    if not parts:
        raise DataError("there are no predictions to join: the benchmark has no clips")
    first = parts[0]
    for part in parts[1:]:
        same_flow = (part.pairs is None) == (first.pairs is None) and (
            part.pairs is None or np.array_equal(part.pairs, first.pairs)
        )
        if part.local_points.shape[1:] != first.local_points.shape[1:] or not same_flow:
            raise DataError("predictions of different frames, sizes or pairs cannot be joined")
    flow = None if first.pairs is None else np.concatenate([p.target_px for p in parts])
    return ClipPredictions(
        tuple(scene for part in parts for scene in part.scenes),
        np.concatenate([part.world_from_camera for part in parts]),
        np.concatenate([part.local_points for part in parts]),
        first.pairs,
        flow,
    )


def save_predictions(
    path: Path, predictions: ClipPredictions, fingerprint: Mapping[str, str]
) -> None:
    """Write a compressed npz atomically.

    `fingerprint` says what the predictions belong to, for example {"run": ..., "step": ...,
    "data": ...}; a reader asks for it again.
    """
    head = {"format": FORMAT, "scenes": predictions.scenes, "fingerprint": dict(fingerprint)}
    arrays = {"head": np.array(json.dumps(head)), **_encode(predictions)}

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # a file object: numpy would append .npz to a name
            write_npz(file, arrays)

    write_atomically(path, write)


def load_predictions(path: Path, fingerprint: Mapping[str, str]) -> ClipPredictions:
    """Read predictions, without pickle.

    Every entry of `fingerprint` must be in the file with the same value. Raises DataError for a
    missing or damaged file and for a fingerprint that differs.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(str(arrays.pop("head")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read predictions {path}: {error}") from error
    if head["format"] != FORMAT:
        raise DataError(f"{path} has format {head['format']}; this version reads {FORMAT}")
    for key, expected in fingerprint.items():
        found = head["fingerprint"].get(key)
        if found != expected:
            raise DataError(
                f"{path} belongs to {key}={found!r}, not {key}={expected!r}; evaluate again"
            )
    return _decode(tuple(head["scenes"]), arrays)


def _encode(predictions: ClipPredictions) -> dict[str, np.ndarray]:
    points = predictions.local_points.astype(np.float64)
    depth = points[..., 2]
    arrays = {
        "world_from_camera": predictions.world_from_camera.astype(np.float32),
        "log_depth": to_steps(np.log(depth), _LOG_DEPTH_STEPS),
        "rays_x": to_steps(points[..., 0] / depth, _RAY_STEPS),
        "rays_y": to_steps(points[..., 1] / depth, _RAY_STEPS),
    }
    if predictions.target_px is not None:
        displacement = predictions.target_px - _grid(predictions.target_px.shape[2:4])
        arrays["pairs"] = np.asarray(predictions.pairs, np.int64)
        arrays["flow_x"] = to_steps(displacement[..., 0], _FLOW_STEPS)
        arrays["flow_y"] = to_steps(displacement[..., 1], _FLOW_STEPS)
    return arrays


def _decode(scenes: tuple[str, ...], arrays: Mapping[str, np.ndarray]) -> ClipPredictions:
    depth = np.exp(from_steps(arrays["log_depth"], _LOG_DEPTH_STEPS))
    rays_x = from_steps(arrays["rays_x"], _RAY_STEPS)
    rays_y = from_steps(arrays["rays_y"], _RAY_STEPS)
    points = np.stack([rays_x * depth, rays_y * depth, depth], axis=-1)
    pairs, flow = None, None
    if "pairs" in arrays:
        pairs = arrays["pairs"]
        steps = [from_steps(arrays[name], _FLOW_STEPS) for name in ("flow_x", "flow_y")]
        flow = np.stack(steps, axis=-1)
        flow = (flow + _grid(flow.shape[2:4])).astype(np.float32)
    poses = arrays["world_from_camera"]
    return ClipPredictions(scenes, poses, points.astype(np.float32), pairs, flow)


def _grid(size: tuple[int, ...]) -> np.ndarray:
    """Pixel coordinates (x, y), [H, W, 2]."""
    height, width = size
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)


def _listed(scenes: tuple[str, ...], mask: np.ndarray) -> str:
    names = [scene for scene, hit in zip(scenes, mask) if hit]
    more = f" and {len(names) - 3} more scenes" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
