"""7-Scenes: colour f = 525, depth sensor f = 585, at a tenth of 640 x 480."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import save_codes, save_image, save_rows, save_text, somewhere

SIZE = (48, 64)
SCENE = "chess/seq-02"
CENTRE = ((320 + 0.5) / 10 - 0.5, (240 + 0.5) / 10 - 0.5)
COLOUR = np.array([[52.5, 0, CENTRE[0]], [0, 52.5, CENTRE[1]], [0, 0, 1]])
SENSOR = np.array([[58.5, 0, CENTRE[0]], [0, 58.5, CENTRE[1]], [0, 0, 1]])


def write(folder: Path, clip: Clip) -> Written:
    """The layout of the published evaluations: colour, depth registered to it, split files."""
    images, depth = clip.view(COLOUR, SIZE)
    written = _write_frames(folder, clip, images, ".color.png", depth, ".depth.proj.png", COLOUR)
    for name in ("seq-01", "seq-03"):
        (folder / "chess" / name).mkdir()
    save_text(folder / "chess/TrainSplit.txt", "sequence1\nsequence3\n")
    save_text(folder / "chess/TestSplit.txt", "sequence2\n")
    sequences = ["chess/seq-01", "chess/seq-02", "chess/seq-03"]
    written.lists.update({"all": sequences, "train": sequences[::2], "test": [SCENE]})
    return written


def write_sensor(folder: Path, clip: Clip) -> Written:
    """The flat copy: pictures, and depth as the sensor saw it; no split files."""
    images, _ = clip.view(COLOUR, SIZE)
    _, sensor = clip.view(SENSOR, SIZE)
    depth = _seen_through_colour(sensor)
    return _write_frames(folder, clip, images, ".color.jpg", sensor, ".depth.png", COLOUR, depth)


def _seen_through_colour(sensor: np.ndarray) -> np.ndarray:
    """Pixel by pixel: the sensor's depth nearest to the colour pixel's ray, 0 outside."""
    depth = np.zeros_like(sensor)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            x = round((column - CENTRE[0]) * 58.5 / 52.5 + CENTRE[0])
            y = round((row - CENTRE[1]) * 58.5 / 52.5 + CENTRE[1])
            if 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
                depth[:, row, column] = sensor[:, y, x]
    return depth


def _write_frames(
    folder: Path, clip: Clip, images, image_suffix, stored, depth_suffix, k, depth=None
) -> Written:
    depth = stored if depth is None else depth
    frames = []
    for n in range(len(clip)):
        name = f"frame-{15 * n:06d}"
        base = folder / SCENE / name
        options = {"quality": 98, "subsampling": 0} if image_suffix.endswith("jpg") else {}
        save_image(Path(f"{base}{image_suffix}"), images[n], **options)
        save_codes(Path(f"{base}{depth_suffix}"), stored[n] * 1000)
        pose = somewhere() @ clip.world_from_camera[n]
        save_rows(Path(f"{base}.pose.txt"), pose, digits=8)
        frames.append(FrameTruth(name, images[n], depth[n], k, pose))
    error = 3.0 if image_suffix.endswith("jpg") else 0.0
    lists = {"all": [SCENE]}
    return Written(
        SCENE, frames, lists, depth_step=1e-3, pose_error=1e-6, image_error=error, dynamic=False
    )


NAME = "7scenes"
VARIANTS = {"projected": write, "sensor": write_sensor}
_BASE = f"{SCENE}/frame-000015"
DAMAGES = {
    "missing depth": (lambda f: (f / f"{_BASE}.depth.proj.png").unlink(), f"{_BASE}.depth.proj"),
    "missing pose": (lambda f: (f / f"{_BASE}.pose.txt").unlink(), f"{_BASE}.pose.txt"),
    "NaN pose": (
        lambda f: save_rows(f / f"{_BASE}.pose.txt", np.full((4, 4), np.nan)),
        "pose of frame frame-000015",
    ),
    "unreadable image": (
        lambda f: (f / f"{_BASE}.color.png").write_bytes(b"not a picture"),
        f"{_BASE}.color.png",
    ),
    "wrong size": (
        lambda f: save_codes(f / f"{_BASE}.depth.proj.png", np.ones((48, 48))),
        f"{_BASE}.depth.proj.png",
    ),
    "cropped image": (
        lambda f: save_image(f / f"{_BASE}.color.png", np.zeros((48, 48, 3), np.uint8)),
        "frame-000015.color.png",
    ),
    "odd split list": (lambda f: save_text(f / "chess/TestSplit.txt", "two\n"), "TestSplit.txt"),
}
"""What can happen to a download -> (how, what the message must name)."""
