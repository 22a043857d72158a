"""Which clips a folder of videos offers. One pass over each file, at thumbnail size."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow3r.data.video.clip_config import VideoConfig
from flow3r.data.video.files import display_name, find_videos, fingerprint
from flow3r.data.video.frames import enlargement, fit
from flow3r.data.video.streams import decode
from flow3r.errors import DataError
from flow3r.teachers.dis import DisConfig, DisTeacher

THUMBNAIL_SHORT_SIDE = 64
NAMED_FILES = 3
"""A message names this many skipped files."""
_SCOUT = DisTeacher(DisConfig(patch_stride=4, gradient_steps=16, variational_iterations=5))
"""A fast DIS: motion is judged here, not labelled."""


@dataclass(frozen=True)
class ClipPlan:
    """One clip to read."""

    path: Path
    name: str
    """`<file below the folder>/<number of the first frame>`."""
    frame_numbers: tuple[int, ...]
    """The frames to decode: those of the clip and those between that the teacher chains over."""
    clip_positions: tuple[int, ...]
    """Positions of the clip's own frames within `frame_numbers`."""
    seconds: float
    """Time of its first frame."""
    motion: float
    """First to last frame, share of the short side (`VideoConfig.motion_quantile`)."""
    factor: int
    """The teacher works at this many times the clip's size."""


@dataclass(frozen=True)
class Skipped:
    """A file, or a stretch of one, that gives no clip."""

    path: str
    reason: str


@dataclass(frozen=True)
class VideoPlan:
    """All clips of a folder, in the order in which they are read, and what was left out."""

    config: VideoConfig
    clips: tuple[ClipPlan, ...]
    skipped: tuple[Skipped, ...]
    fingerprints: dict[str, str]
    """File name -> sha256 of its size and first and last MiB."""

    def report(self) -> dict[str, Any]:
        """What was found, for provenance; ready for JSON."""
        clips_per_file = Counter(display_name(c.path, self.config.folder) for c in self.clips)
        return {
            "clips": len(self.clips),
            "files": [
                {"name": name, "fingerprint": mark, "clips": clips_per_file[name]}
                for name, mark in self.fingerprints.items()
            ],
            "skipped": [{"path": s.path, "reason": s.reason} for s in self.skipped],
            "skipped_reasons": dict(Counter(s.reason.split(" (")[0] for s in self.skipped)),
        }


@dataclass(frozen=True)
class _Scan:
    """A whole video at thumbnail size."""

    seconds: NDArray[np.float64]  # [F]
    thumbnails: list[NDArray[np.uint8]]  # F times [h, w]
    factor: int


def plan_clips(config: VideoConfig) -> VideoPlan:
    """Look through the folder and decide on the clips.

    A single file that is broken, or gives no clip, raises DataError; in a folder such files are
    skipped with a reason, and it is an error only if no clip remains.
    """
    root = Path(config.folder)
    clips: list[ClipPlan] = []
    skipped: list[Skipped] = []
    marks: dict[str, str] = {}
    for path in find_videos(root):
        name = display_name(path, root)
        try:
            scan = _scan(path, config)
            found, left_out = _choose(path, name, scan, config)
            marks[name] = fingerprint(path)
        except DataError as error:
            skipped.append(Skipped(name, str(error).removeprefix(f"{path}: ")))
            continue
        clips += found
        skipped += left_out
    if not clips:
        raise DataError(f"videos={str(root)!r}: no usable clip: {_summary(skipped)}")
    return VideoPlan(config, tuple(_limit(clips, config.max_clips)), tuple(skipped), marks)


def _scan(path: Path, config: VideoConfig) -> _Scan:
    seconds, thumbnails, factor = [], [], 0
    scale = THUMBNAIL_SHORT_SIDE / min(config.size)
    size = (round(config.size[0] * scale), round(config.size[1] * scale))
    shape = None
    for frame in decode(path, config.max_seconds):
        luma = frame.luma()
        if luma.shape != (shape or luma.shape):
            raise DataError(f"{path}: the picture size changes within the file")
        if shape is None:
            shape = luma.shape
            factor = enlargement(shape, config.size, frame.pixel_aspect, config.short_side)
        seconds.append(frame.seconds)
        thumbnails.append(fit(luma, size, frame.pixel_aspect))
    if len(seconds) < config.frames:
        raise DataError(f"{path}: too short ({len(seconds)} frames for clips of {config.frames})")
    times = np.asarray(seconds)
    if (np.diff(times) <= 0).any():
        raise DataError(f"{path}: the time stamps do not increase")
    return _Scan(times, thumbnails, factor)


def _choose(
    path: Path, name: str, scan: _Scan, config: VideoConfig
) -> tuple[list[ClipPlan], list[Skipped]]:
    """The clips of one video that move and hang together."""
    clips, skipped = [], []
    interval = float(np.median(np.diff(scan.seconds)))
    # A video slower than the gap gives its successive frames.
    gap = max(config.gap_seconds, interval)
    stride = max(1, round(gap / interval))
    starts = len(scan.seconds) - (config.frames - 1) * stride
    if starts < 1:
        raise DataError(
            f"{path}: too short ({scan.seconds[-1]:.2f} s for clips of {config.clip_seconds:.2f} s)"
        )
    for start in _spaced(scan.seconds[:starts], config.spacing_seconds):
        own = start + stride * np.arange(config.frames)
        where = f"{name} at {scan.seconds[start]:.2f} s"
        if np.diff(scan.seconds[own]).max() > 2 * gap:
            skipped.append(Skipped(where, "hole in the time stamps"))
            continue
        motion, overlap = _motion(scan.thumbnails, own, config.motion_quantile)
        if overlap < config.min_overlap:
            skipped.append(Skipped(where, f"cut or motion too fast (overlap {overlap:.2f})"))
        elif motion < config.min_motion:
            skipped.append(Skipped(where, f"static (motion {motion:.4f})"))
        else:
            numbers = _with_between(own, config.chain_steps)
            clips.append(
                ClipPlan(
                    path=path,
                    name=f"{name}/{own[0]:06d}",
                    frame_numbers=tuple(numbers),
                    clip_positions=tuple(numbers.index(n) for n in own.tolist()),
                    seconds=float(scan.seconds[own[0]]),
                    motion=motion,
                    factor=scan.factor,
                )
            )
    return clips, skipped


def _spaced(seconds: NDArray[np.float64], spacing: float) -> list[int]:
    """The frame numbers nearest to 0, spacing, 2 spacing, ... seconds, each once."""
    wanted = np.arange(0, seconds[-1] + 1e-6, spacing)
    return sorted({int(np.abs(seconds - w).argmin()) for w in wanted})


def _motion(
    thumbnails: list[NDArray[np.uint8]], own: NDArray[np.int64], quantile: float
) -> tuple[float, float]:
    """(motion from the first to the last frame, least overlap of successive frames)."""
    images = torch.from_numpy(np.stack([thumbnails[i] for i in own]))
    images = images[:, None].expand(-1, 3, -1, -1)
    last = len(own) - 1
    pairs = torch.tensor([[0, last], *[[i, i + 1] for i in range(last)]])
    labels = _SCOUT.label(images, pairs)
    height, width = images.shape[-2:]
    grid = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy"), -1)
    length = (labels.target_px[0] - grid).norm(dim=-1)
    motion = float(torch.quantile(length, quantile)) / min(height, width)
    return motion, float(labels.covisibility[1:].mean((1, 2)).min())


def _with_between(own: NDArray[np.int64], steps: int) -> list[int]:
    """The clip's frame numbers and up to `steps` - 1 evenly spaced ones in every gap."""
    numbers = {int(own[-1])}
    for first, last in pairwise(own.tolist()):
        numbers |= {int(n) for n in np.linspace(first, last, steps + 1).round()}
    return sorted(numbers)


def _limit(clips: list[ClipPlan], wanted: int | None) -> list[ClipPlan]:
    """At most `wanted` clips: the same share of every file, and nested in any larger count.

    Clips of a file are ranked by the hash of their names; lower ranks of all files come first.
    """
    if wanted is None or wanted >= len(clips):
        return clips
    shuffled = sorted(clips, key=lambda c: hashlib.sha256(c.name.encode()).digest())
    ranks: Counter[Path] = Counter()
    ranked = []
    for clip in shuffled:
        ranked.append((ranks[clip.path], clip.name))
        ranks[clip.path] += 1
    ranked.sort(key=lambda item: item[0])  # stable: the hash decides within a rank
    names = {name for _, name in ranked[:wanted]}
    return [c for c in clips if c.name in names]


def _summary(skipped: list[Skipped]) -> str:
    if len(skipped) == 1:
        return f"{skipped[0].path}: {skipped[0].reason}"
    named = [f"{s.path}: {s.reason}" for s in skipped[:NAMED_FILES]]
    more = len(skipped) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")
