"""The real recordings, where they are at hand."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from flow3r.data.video.config import IngestConfig
from flow3r.data.video.decode import clip_frames
from flow3r.data.video.ingest import SKIPPED, ingest
from flow3r.teachers.dis import DisTeacher

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
VIDEOS = Path(os.environ.get("FLOW3R_DATA", DEFAULT)) / "videos"

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"no recordings at {VIDEOS} (FLOW3R_DATA)"),
]


def test_every_file_gives_clips_and_the_flow_explains_the_images(tmp_path):
    """Moving the target image back along the flow must come closer to the source image."""
    manifest = ingest(VIDEOS, IngestConfig(), tmp_path / "out", workers=2)
    videos = {p.name for p in VIDEOS.iterdir() if p.suffix in (".mp4", ".avi")}
    assert set(manifest.column("source")) == videos
    skipped = {s["path"] for s in json.loads((tmp_path / "out" / SKIPPED).read_text())}
    assert {p.name for p in VIDEOS.iterdir()} <= videos | skipped
    assert all(manifest.column("by_time"))
    before, after = 0.0, 0.0
    firsts = {clip.source: clip for clip in manifest}.values()
    for clip in firsts:
        frames = clip_frames(clip, (96, 128))[list(clip.clip_positions)]
        images = torch.from_numpy(frames).permute(0, 3, 1, 2)
        labels = DisTeacher().label(images, torch.tensor([[0, 1]]))
        assert labels.covisibility.mean() > 0.2
        grey = frames.astype(np.float32).mean(-1)
        moved_back = cv2.remap(grey[1], labels.target_px[0].numpy(), None, cv2.INTER_LINEAR)
        keep = labels.covisibility[0].numpy() > 0
        before += abs(grey[1] - grey[0])[keep].mean()
        after += abs(moved_back - grey[0])[keep].mean()
    assert after < 0.6 * before
