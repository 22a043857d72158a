"""The real recordings, where they are at hand."""

import os
from pathlib import Path

import cv2
import pytest
import torch

from flow3r.data.video.clips import VideoConfig, plan_clips, read_clips

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
VIDEOS = Path(os.environ.get("FLOW3R_DATA", DEFAULT)) / "videos"
PAIRS = torch.tensor([[0, 1], [3, 0]])

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"no recordings at {VIDEOS} (FLOW3R_DATA)"),
]


@pytest.mark.slow
def test_every_file_gives_clips_and_the_flow_explains_the_images():
    """Moving the target image back along the flow must come closer to the source image."""
    settings = VideoConfig(folder=str(VIDEOS), max_clips=12)
    everything = plan_clips(VideoConfig(**{**vars(settings), "max_clips": None}))
    assert all(file["clips"] > 0 for file in everything.report()["files"])
    assert len(everything.report()["files"]) == 5
    plan = plan_clips(settings)
    assert len({c.path for c in plan.clips}) == 5
    before, after = 0.0, 0.0
    for clip in read_clips(plan, PAIRS):
        assert clip.images.shape == (4, 3, 64, 64)
        assert torch.isfinite(clip.target_px).all()
        assert clip.covisibility.mean() > 0.2
        images = clip.images.float().mean(1).numpy()
        for i, (source, target) in enumerate(PAIRS.tolist()):
            at = clip.target_px[i].numpy()
            moved_back = cv2.remap(images[target], at, None, cv2.INTER_LINEAR)
            keep = clip.covisibility[i].numpy() > 0
            before += abs(images[target] - images[source])[keep].mean()
            after += abs(moved_back - images[source])[keep].mean()
    assert after < 0.6 * before
