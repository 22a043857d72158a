"""The folder that an inspection leaves: report, contact sheet, point clouds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.folders import new_folder
from experiments.progress import Report
from flow3r.config import require
from flow3r.data.framing import Size
from flow3r.data.inspection.findings import Findings
from flow3r.data.inspection.survey import BINS, SceneReport, survey
from flow3r.data.recorded.framed import FramedFrame, Framing, framed
from flow3r.data.scenes import Dataset, Scene
from flow3r.errors import DataError
from flow3r.files import write_json, write_text
from flow3r.inference.ply import write_ply
from flow3r.inference.result import Reconstruction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_SCENES = 6
SHOWN_FRAMES = 4
CLOUD_FRAMES = 12
LOOK = 240
"""Pixels of the longer side of the frames that are shown and become points."""


@dataclass(frozen=True)
class Inspection:
    """What was found, and where it lies."""

    folder: Path
    findings: Findings
    text: str


def inspect_dataset(
    dataset: Dataset, split: str, scenes: list[str], frames: int, parent: Path, progress: Report
) -> Inspection:
    """Look over the scenes of a split and write a new folder below `parent`."""
    known = dataset.scenes(split)
    unknown = sorted(set(scenes) - set(known))
    require(not unknown, f"scenes={unknown} are not in split {split!r}; it has {known}")
    chosen = scenes or known
    findings, reports, shown = Findings(), [], []
    for done, (scene, report) in enumerate(survey(dataset, chosen, frames, findings), start=1):
        reports.append(report)
        if scene is not None and len(shown) < SHOWN_SCENES:
            shown.append((scene.name, looks(scene)))
        progress("inspect", done, len(chosen))
    folder = new_folder(parent, Path(dataset.name))
    content = {
        "dataset": dataset.name,
        "path": str(dataset.path),
        "split": split,
        "splits": {name: len(dataset.scenes(name)) for name in dataset.splits},
        "errors": findings.errors,
        "warnings": findings.warnings,
        "findings": findings.as_json(),
        "scenes": [report.as_json() for report in reports],
    }
    write_json(folder / "report.json", content)
    shown = [(name, frames) for name, frames in shown if frames]
    for name, frames_shown in shown:
        write_ply(folder / f"{name.replace('/', '-')}.ply", cloud(frames_shown))
    if shown:
        from experiments.figures.png import write_png

        write_png(folder / "contact_sheet.png", contact_sheet(shown), 100)
    text = _text(dataset, split, reports, findings, folder)
    write_text(folder / "report.txt", text + "\n")
    return Inspection(folder, findings, text)


def looks(scene: Scene) -> list[tuple[str, FramedFrame]]:
    """Evenly spaced frames of a scene that can be read, at `LOOK` pixels, with their names."""
    size: Size | None = None
    found = []
    for index in np.linspace(0, len(scene.frames) - 1, CLOUD_FRAMES).astype(int):
        frame = scene.frames[index]
        if frame.name in [name for name, _ in found]:
            continue
        try:
            if size is None:
                height, width = frame.image().shape[:2]
                scale = LOOK / max(height, width)
                size = max(1, round(height * scale)), max(1, round(width * scale))
            found.append((frame.name, framed(frame, Framing(size, "image"))))
        except DataError:
            continue  # the survey has named it
    return found


def cloud(frames: list[tuple[str, FramedFrame]]) -> Reconstruction:
    """The frames' points in one world, that of the first frame."""
    from flow3r.data.readers.axes import inverted

    names, parts = zip(*frames)
    first = inverted(parts[0].world_from_camera)
    poses = np.stack([first @ part.world_from_camera for part in parts])
    depth = np.stack([part.depth for part in parts])
    height, width = depth.shape[1:]
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns, rows, np.ones_like(rows)], -1).astype(np.float64)
    rays = np.stack([pixels @ np.linalg.inv(part.intrinsics).T for part in parts])
    local = rays * depth[..., None]
    world = np.einsum("nij,nhwj->nhwi", poses[:, :3, :3], local) + poses[:, None, None, :3, 3]
    return Reconstruction(
        names=tuple(names),
        images=np.stack([part.image for part in parts]),
        depth=depth,
        confidence=(depth > 0).astype(np.float32),
        world_points=world.astype(np.float32),
        world_from_camera=poses.astype(np.float32),
        intrinsics=np.stack([part.intrinsics for part in parts]).astype(np.float32),
        flow_px=None,
        threshold=0.5,
    )


def contact_sheet(shown: list[tuple[str, list[tuple[str, FramedFrame]]]]) -> Figure:
    """A row per scene: pictures, each with its depth map beside it."""
    from matplotlib.figure import Figure

    from experiments.figures.colours import depth_colours

    figure = Figure(figsize=(10, 0.2 + 1.1 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 2 * SHOWN_FRAMES, squeeze=False)
    for row, (name, frames) in zip(axes, shown):
        places = np.linspace(0, len(frames) - 1, min(SHOWN_FRAMES, len(frames))).astype(int)
        known = np.concatenate([frames[i][1].depth[frames[i][1].depth > 0] for i in places])
        limits = tuple(np.quantile(known, (0.01, 0.99))) if len(known) else (1.0, 2.0)
        limits = limits if limits[1] > limits[0] else (limits[0], limits[0] + 1e-3)
        for ax in row:
            ax.axis("off")
        for column, place in enumerate(places):
            frame_name, part = frames[place]
            row[2 * column].imshow(part.image)
            row[2 * column].set_title(frame_name, fontsize=5)
            row[2 * column + 1].imshow(depth_colours(part.depth, limits))
        row[1].set_title(f"{name}: depth {limits[0]:.2g} to {limits[1]:.2g}", fontsize=5)
    return figure


def _text(
    dataset: Dataset,
    split: str,
    reports: list[SceneReport],
    findings: Findings,
    folder: Path,
) -> str:
    frames = sum(report.count.frames for report in reports)
    looked = sum(report.count.looked_at for report in reports)
    lines = [
        f"{dataset.name} at {dataset.path}, split {split} of {', '.join(dataset.splits)}",
        f"{len(reports)} scenes, {frames} frames ({looked} of them looked at)",
    ]
    for report in reports:
        lines += _scene_lines(report)
    lines += findings.lines()
    lines.append(f"{findings.errors} errors, {findings.warnings} warnings; written to {folder}")
    return "\n".join(lines)


def _scene_lines(report: SceneReport) -> list[str]:
    count = report.count
    sizes = ", ".join(f"{w} x {h}" for h, w in sorted(count.sizes)) or "unknown size"
    lacking = [
        f"{number} without {what}"
        for what in ("pose", "depth", "intrinsics")
        if (number := getattr(count, f"without_{what}"))
    ]
    if count.missing_files:
        lacking.append(f"{count.missing_files} files missing")
    unit = " m" if report.metric else ""
    kind = "dynamic" if report.dynamic else "static"
    lines = [
        f"{report.name}: {count.frames} frames, {sizes}, {kind}"
        + "".join(f", {text}" for text in lacking)
    ]
    if report.median_depth is not None:
        moved = report.translation_per_frame
        lines.append(
            f"  median depth {report.median_depth:.3g}{unit}"
            + (f", camera moves {moved:.3g}{unit} per frame" if moved is not None else "")
        )
    for stride, measured in report.strides.items():
        error, pixels = measured["depth_error"], measured["reprojection_px"]
        if error is None:
            lines.append(f"  {stride} apart: no view in common")
            continue
        lines.append(
            f"  {stride} apart: reprojection error {pixels:.2f} px, depth differs by {error:.1%} "
            f"(medians of {measured['pairs']} pairs), {measured['share']:.0%} of pixels agree"
        )
    if report.covisibility:
        shares = " ".join(f"{n}" for n in report.covisibility)
        lines.append(f"  pairs by covisibility, 0 to 1 in {BINS} steps: {shares}")
    return lines
