"""Real video as unlabelled clips: images and a teacher's flow, nothing else.

`build_video_clips(config, pairs)` is the front door; `plan_clips` and `read_clips` are its halves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow3r.data.video.clip_config import VideoConfig
from flow3r.data.video.files import find_videos, fingerprint, folder_fingerprint
from flow3r.data.video.frames import fit
from flow3r.data.video.plan import ClipPlan, Skipped, VideoPlan, plan_clips
from flow3r.data.video.streams import decode
from flow3r.errors import DataError
from flow3r.teachers.base import check_clip
from flow3r.teachers.consistency import reduce_flow
from flow3r.teachers.dis import DisTeacher

__all__ = [
    "ClipPlan",
    "Skipped",
    "VideoClip",
    "VideoConfig",
    "VideoPlan",
    "build_video_clips",
    "find_videos",
    "fingerprint",
    "folder_fingerprint",
    "plan_clips",
    "read_clip",
    "read_clips",
]


@dataclass(frozen=True)
class VideoClip:
    """One unlabelled clip of N frames and the teacher's flow for P pairs of them."""

    name: str
    images: Tensor  # [N, 3, H, W] uint8
    target_px: Tensor  # [P, H, W, 2] float32
    covisibility: Tensor  # [P, H, W] float32


def build_video_clips(
    config: VideoConfig, pairs: Tensor
) -> tuple[Iterator[VideoClip], dict[str, Any]]:
    """The clips of a folder, made one at a time, and a report with their number (`clips`).

    pairs: [P, 2] ordered pairs (source, target) of the clip's frames. The report also holds the
    fingerprints of the files and what was skipped and why. Raises DataError if no clip is found.
    """
    if config.content and (found := folder_fingerprint(config.folder)) != config.content:
        raise DataError(
            f"videos={config.folder!r}: the files changed since the run was planned (content "
            f"{found}, planned with {config.content}); start the command again to plan anew"
        )
    plan = plan_clips(config)
    return read_clips(plan, pairs), plan.report()


def read_clips(plan: VideoPlan, pairs: Tensor) -> Iterator[VideoClip]:
    """Decode and label the planned clips, in order; each file is decoded once, sequentially.

    Holds the frames of a few overlapping clips in memory, whatever the number of clips.
    """
    for _, clips in groupby(plan.clips, key=lambda c: c.path):
        for clip, frames in _decode_clips(list(clips), plan.config):
            yield _label(clip, frames, pairs, plan.config)


def read_clip(clip: ClipPlan, pairs: Tensor, config: VideoConfig) -> VideoClip:
    """One clip on its own; decodes its file from the beginning."""
    [(_, frames)] = _decode_clips([clip], config)
    return _label(clip, frames, pairs, config)


def _decode_clips(
    clips: Sequence[ClipPlan], config: VideoConfig
) -> Iterator[tuple[ClipPlan, NDArray[np.uint8]]]:
    """Each clip of one file with its frames [F, kH, kW, 3] at the teacher's size."""
    waiting = sorted(clips, key=lambda c: c.frame_numbers[-1])
    factor = waiting[0].factor
    size = (factor * config.size[0], factor * config.size[1])
    kept: dict[int, NDArray[np.uint8]] = {}
    for frame in decode(waiting[0].path, config.max_seconds):
        if any(frame.index in c.frame_numbers for c in waiting):
            kept[frame.index] = fit(frame.rgb(), size, frame.pixel_aspect)
        while waiting and waiting[0].frame_numbers[-1] == frame.index:
            clip = waiting.pop(0)
            yield clip, np.stack([kept[n] for n in clip.frame_numbers])
            first_needed = min((c.frame_numbers[0] for c in waiting), default=frame.index + 1)
            kept = {n: image for n, image in kept.items() if n >= first_needed}
        if not waiting:
            return
    raise DataError(f"{waiting[0].path}: changed since the clips were planned")


def _label(
    clip: ClipPlan, frames: NDArray[np.uint8], pairs: Tensor, config: VideoConfig
) -> VideoClip:
    own = list(clip.clip_positions)
    full = torch.from_numpy(frames).permute(0, 3, 1, 2)
    images = torch.from_numpy(np.stack([fit(frames[i], config.size, 1.0) for i in own]))
    images = images.permute(0, 3, 1, 2).contiguous()
    check_clip(images, pairs)
    labels = DisTeacher(config.teacher).label(full, torch.tensor(own)[pairs])
    target_px, covisibility = reduce_flow(labels.target_px, labels.covisibility, config.size)
    return VideoClip(clip.name, images, target_px, covisibility)
