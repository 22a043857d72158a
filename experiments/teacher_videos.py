"""Cycle consistency of a teacher on real video, where there is no truth."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow3r.data.video.files import display_name, find_videos
from flow3r.data.video.frames import fit
from flow3r.data.video.pictures import DecodedFrame
from flow3r.data.video.seeking import successive_frames
from flow3r.data.video.streams import length_and_rate
from flow3r.errors import DataError
from flow3r.teachers.base import FlowLabels, Teacher
from flow3r.teachers.quality import cycle_error, cycle_summary, round_numbers

SECONDS = 20.0
"""Only the beginning of a video is looked at."""


def measured_videos(
    teacher: Teacher, folder: str, sizes: list[int], gaps: list[int], clips: int
) -> Iterator[dict[str, Any]]:
    """A row per (size, gap): `clips` stretches of successive frames, spread over all files."""
    for size in sizes:
        cycles: dict[int, list[Tensor]] = {gap: [] for gap in gaps}
        kept: dict[int, list[float]] = {gap: [] for gap in gaps}
        seconds = dict.fromkeys(gaps, 0.0)
        for number, frames in enumerate(stretches(folder, size, max(gaps) + 1, clips)):
            print(f"{size} px: clip {number + 1}/{clips}", file=sys.stderr, flush=True)
            for gap in gaps:
                pairs = torch.tensor([(0, gap), (gap, 0)])
                began = time.perf_counter()
                labels = teacher.label(frames, pairs, index=number)
                seconds[gap] += time.perf_counter() - began
                there, back = (
                    FlowLabels(labels.target_px[[i]], labels.covisibility[[i]]) for i in (0, 1)
                )
                cycles[gap] += [cycle_error(there, back), cycle_error(back, there)]
                kept[gap].append(float((labels.covisibility > 0.5).float().mean()))
        for gap in gaps:
            count = len(kept[gap])
            yield {
                "teacher": teacher.name,
                "settings": dict(teacher.settings),
                "videos": folder,
                "size": size,
                "gap": gap,
                "clips": count,
                "pairs": 2 * count,
                "ms_per_pair": round(1000 * seconds[gap] / (2 * count), 2),
                "kept_share": round(100 * sum(kept[gap]) / count, 4),
                **round_numbers(cycle_summary(cycles[gap])),
            }


def stretches(folder: str, size: int, length: int, clips: int) -> Iterator[Tensor]:
    """At most `clips` clips [length, 3, size, size] uint8 of successive frames, of all readable
    files in turn; the centre of the picture. Raises DataError where no file has that many frames.
    """

    def take(frame: DecodedFrame) -> NDArray[np.uint8]:
        return fit(frame.rgb(), (size, size), frame.pixel_aspect)

    files = find_videos(folder)
    found = 0
    for left, path in zip(range(len(files), 0, -1), files):
        wanted = -(-(clips - found) // left)
        name = display_name(path, folder)
        try:
            for start in starts(path, length, wanted):
                frames = successive_frames(path, start, length, take)
                if len(frames) < length:
                    print(f"skipped: {name}: {len(frames)} frames", file=sys.stderr, flush=True)
                    break
                found += 1
                yield torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()
        except DataError as error:
            print(f"skipped: {error}", file=sys.stderr, flush=True)
    if not found:
        raise DataError(f"videos={folder!r}: no readable video of at least {length} frames")


def starts(path: Path, length: int, wanted: int) -> list[float]:
    """Seconds at which stretches of so many frames begin, spread over what is looked at."""
    seconds, rate = length_and_rate(path)
    if not rate:
        return [0.0] if wanted else []
    last = max(0.0, min(SECONDS, seconds) - length / rate)
    return sorted({round(s * rate) / rate for s in np.linspace(0, last, wanted)})
