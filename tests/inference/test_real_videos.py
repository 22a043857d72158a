"""The real recordings, where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from flow3r.data.video.files import find_videos
from flow3r.data.video.streams import decode
from flow3r.inference.frames import FrameSettings, read_frames

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
VIDEOS = Path(os.environ.get("FLOW3R_DATA", DEFAULT)) / "videos"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"no recordings at {VIDEOS} (FLOW3R_DATA)"),
]


@pytest.mark.slow
def test_every_recording_gives_frames_of_the_demo_size():
    for path in find_videos(VIDEOS):
        frames = read_frames(path, FrameSettings(frames=3))
        assert len(frames) == 3
        assert frames.numbers[0] == 0
        assert frames.numbers[-1] == frames.available - 1
        height, width = frames.images.shape[1:3]
        assert height % 14 == width % 14 == 0
        assert 0.9 * 255_000 < height * width <= 255_000
        shape = frames.source_size[1] / frames.source_size[0]
        assert width / height == pytest.approx(shape, rel=0.02)
        assert frames.images.std(axis=(1, 2, 3)).min() > 10  # pictures, not empty ones


def test_a_recording_of_the_demo_size_is_not_resampled():
    """574 x 434 is what the rule gives for 4:3."""
    path = VIDEOS / "cartoon_horse.mp4"
    frames = read_frames(path, FrameSettings(every=1, frames=1))
    first = next(decode(path, 1.0)).rgb()
    assert np.array_equal(frames.images[0], first)
