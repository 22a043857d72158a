"""One reconstruction: input and weights in, a folder of files out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import flow3r
from experiments.assembly import choose_device
from experiments.figures.preview import write_preview
from experiments.folders import new_folder
from experiments.progress import Report
from experiments.provenance import environment, git_state
from experiments.weights_source import WeightsSource, find_weights
from flow3r.config import require, require_choice
from flow3r.errors import ConfigError, DataError
from flow3r.files import write_json
from flow3r.inference import (
    FrameSettings,
    Reconstruction,
    ReconstructionSettings,
    read_frames,
    reconstruct,
    write_archive,
    write_glb,
    write_ply,
    write_recording,
)
from flow3r.inference.frames import Frames
from flow3r.inference.glb import require_trimesh
from flow3r.inference.precision import choose_precision
from flow3r.inference.reconstruct import edge_tolerance
from flow3r.inference.recording import require_rerun

FORMATS: dict[str, tuple[str, Callable[[Path, Reconstruction], None], str]] = {
    "ply": ("points.ply", write_ply, "point cloud: MeshLab, CloudCompare, Blender"),
    "glb": ("scene.glb", write_glb, "points and cameras: Blender or any glTF viewer"),
    "rrd": ("recording.rrd", write_recording, "recording: rerun {path}"),
}
SHAPES = ("trained", "input")
ARCHIVE, PREVIEW, SUMMARY = "predictions.npz", "preview.png", "summary.json"


@dataclass(frozen=True)
class Options:
    """The command line."""

    input: Path
    weights: Path
    output_dir: Path = Path("outputs")
    formulation: str | None = None
    frames: int | None = None
    every: int | None = None
    max_pixels: int | None = None
    fit: str | None = None
    shape: str | None = None
    confidence: float | None = None
    edge: float | None = None
    formats: tuple[str, ...] = ("ply", "glb")
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in self.formats:
            require_choice("formats", name, FORMATS)
        if self.shape is not None:
            require_choice("shape", self.shape, SHAPES)
        if not self.input.exists():
            raise DataError(f"input={str(self.input)!r}: no such file or folder")

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Options:
        """From name=value texts. Raises ConfigError for what is missing or not a number."""
        for name in ("input", "weights"):
            require(bool(given.get(name)), f"{name}=PATH is required; see --help")
        values: dict[str, Any] = dict(given)
        for name in ("input", "weights", "output_dir"):
            if name in values:
                values[name] = Path(values[name])
        for name in ("frames", "every", "max_pixels"):
            if name in values:
                values[name] = _number(name, values[name], int)
        for name in ("confidence", "edge"):
            if name in values:
                values[name] = _number(name, values[name], float)
        if "formats" in values:
            values["formats"] = tuple(values["formats"].strip("[]").split(","))
        return cls(**values)


def _number(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}={text!r} must be {what}") from None


@dataclass(frozen=True)
class Finished:
    """What was written."""

    folder: Path
    result: Reconstruction
    files: dict[str, str]
    """File name -> what it is."""

    def text(self) -> str:
        """The last lines that the command prints."""
        height, width = self.result.size
        points = len(self.result.points)
        lines = [
            f"{len(self.result.names)} frames of {width} x {height}, {points:,} points; "
            f"in {self.folder}:"
        ]
        width = max(map(len, self.files))
        lines += [f"  {name:{width}}  {what}" for name, what in self.files.items()]
        if not points:
            highest = self.result.confidence.max()
            lines.append(
                f"no pixel is more confident than confidence={self.result.threshold:g} "
                f"(the highest is {highest:.3f}): the cloud is empty; try a lower number"
            )
        return "\n".join(lines)


def run_reconstruction(options: Options, report: Report) -> Finished:
    """Do all of it. Raises ConfigError or DataError before anything is written."""
    if "rrd" in options.formats:
        require_rerun()
    if "glb" in options.formats:
        require_trimesh()
    device = choose_device(options.device)
    source = find_weights(options.weights)
    seconds = _Stopwatch()
    report("weights", 0, 1)
    dtype = choose_precision(options.precision, device)
    model = flow3r.load(options.weights, options.formulation, device=device, dtype=dtype)
    report("weights", 1, 1)
    seconds.lap("weights")
    frame_settings, settings = _settings(options, source, model.model.config.patch_size)
    frames = read_frames(
        options.input, frame_settings, lambda done, total: report("frames", done, total)
    )
    seconds.lap("frames")
    result = reconstruct(model, frames, settings, report)
    seconds.lap("model")
    folder = new_folder(options.output_dir / "reconstructions", options.input)
    files = _write(folder, options, source, result, report)
    seconds.lap("files")
    content = {
        "schema": 1,
        "input": _describe_input(options, frames),
        "weights": source.record(),
        "settings": {
            **asdict(frame_settings.size),
            "confidence": settings.confidence,
            "edge": settings.edge,
            "device": str(device),
            "precision": str(dtype).removeprefix("torch."),
        },
        "result": _describe_result(result),
        "seconds": seconds.laps,
        "files": {name: (folder / name).stat().st_size for name in files},
        "provenance": git_state() | environment(),
    }
    write_json(folder / SUMMARY, content)
    return Finished(folder, result, files | {SUMMARY: "settings, measures, provenance"})


def _settings(
    options: Options, source: WeightsSource, patch_size: int
) -> tuple[FrameSettings, ReconstructionSettings]:
    """Given values, else what suits the weights."""
    size = source.size_rule(patch_size, options.max_pixels, options.fit, options.shape)
    edge = edge_tolerance(size.max_pixels) if options.edge is None else options.edge
    confidence = source.confidence if options.confidence is None else options.confidence
    settings = ReconstructionSettings(confidence, edge)
    return FrameSettings(options.frames, options.every, size), settings


def _write(
    folder: Path, options: Options, source: WeightsSource, result: Reconstruction, report: Report
) -> dict[str, str]:
    files: dict[str, str] = {}
    total = len(options.formats) + 2
    report("files", 0, total)
    for name in options.formats:
        file, write, what = FORMATS[name]
        write(folder / file, result)
        files[file] = what.format(path=folder / file)
        report("files", len(files), total)
    write_archive(folder / ARCHIVE, result)
    files[ARCHIVE] = "depth, confidence, points, poses, intrinsics: numpy.load"
    report("files", len(files), total)
    write_preview(folder / PREVIEW, result, f"{options.input.name}, {source.title}")
    files[PREVIEW] = "frames, depth, confidence, the scene from above"
    report("files", len(files), total)
    return files


def _describe_input(options: Options, frames: Frames) -> dict[str, Any]:
    return {
        "path": str(options.input),
        "available_frames": frames.available,
        "numbers": list(frames.numbers),
        "names": list(frames.names),
        "source_size": list(frames.source_size),
    }


def _describe_result(result: Reconstruction) -> dict[str, Any]:
    depth = np.quantile(result.depth, [0.05, 0.5, 0.95]).tolist()
    length = result.camera_path_length
    return {
        "frames": len(result.names),
        "size": list(result.size),
        "pixels": int(result.keep.size),
        "points": len(result.points),
        "confidence_quantiles_5_50_95": np.quantile(result.confidence, [0.05, 0.5, 0.95]).tolist(),
        "depth_quantiles_5_50_95": depth,
        "camera_path_length": length,
        "camera_path_length_in_median_depths": length / depth[1],
        "field_of_view_degrees": list(result.field_of_view),
        "flow": result.flow_px is not None,
    }


class _Stopwatch:
    """Seconds of one thing after the other."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now
