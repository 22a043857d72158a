"""Videos to measure with: a folder of the user's, or some that are made here."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from experiments.benchmarks.settings import Settings
from flow3r.data.video.config import IngestConfig
from flow3r.data.video.ingest import ingest
from flow3r.data.video.manifest import Manifest
from flow3r.errors import ConfigError

SECONDS, RATE = 6, 30
HEIGHT, WIDTH = 360, 640
SHIFT = 3
"""Pixels per frame."""


def manifest_of(settings: Settings, folder: Path) -> Manifest:
    """The clips of `settings.videos`, of `settings.frames` frames; results go into the folder."""
    videos = Path(settings.videos) if settings.videos else write_video(folder / "footage.mp4")
    return ingest(videos, IngestConfig(frames=settings.frames), folder / "manifest")


def write_video(path: Path) -> Path:
    """A texture that moves steadily, 360 x 640 px, H.264 with the encoder's usual key frames."""
    try:
        import av
    except ImportError as error:
        raise ConfigError(f"this case needs PyAV ({error}): pip install av") from error
    count = SECONDS * RATE
    noise = torch.rand(1, 3, 45, 80 + count // 2, generator=torch.Generator().manual_seed(0))
    size = (HEIGHT, WIDTH + SHIFT * count)
    texture = F.interpolate(noise, size, mode="bicubic").clamp(0, 1)[0]
    texture = (texture * 255).byte().permute(1, 2, 0).contiguous().numpy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for i in range(count):
            image = texture[:, SHIFT * i : SHIFT * i + WIDTH].copy()
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path
