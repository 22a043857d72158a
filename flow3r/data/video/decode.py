"""The frames of one clip of a manifest, at any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow3r.data.readers.images import read_upright_rgb
from flow3r.data.video.frames import fit
from flow3r.data.video.manifest import ManifestClip
from flow3r.data.video.pictures import DecodedFrame
from flow3r.data.video.seeking import frames_by_number, frames_by_time
from flow3r.data.video.sequences import frame_path


def clip_frames(clip: ManifestClip, size: tuple[int, int]) -> NDArray[np.uint8]:
    """All `clip.frame_numbers` as RGB [F, H, W, 3]: upright, the centre of the picture with the
    shape of `size` = (height, width), area-averaged.

    Of a file only the part around the clip is decoded. Raises DataError naming the file if a frame
    is not there any more or cannot be decoded.
    """
    if clip.kind == "sequence":
        paths = [frame_path(clip.path, number) for number in clip.frame_numbers]
        return np.stack([fit(read_upright_rgb(path), size, 1.0) for path in paths])

    def take(frame: DecodedFrame) -> NDArray[np.uint8]:
        return fit(frame.rgb(), size, frame.pixel_aspect)

    if clip.by_time:
        return np.stack(frames_by_time(clip.path, clip.frame_seconds, take))
    return np.stack(frames_by_number(clip.path, clip.frame_numbers, take))
