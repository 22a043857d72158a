"""Where training should get a clip's frames from: the video itself, or a store of frames."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.footage import manifest_of
from experiments.benchmarks.measure import Variant, measure, rounded, say
from experiments.benchmarks.settings import Settings
from flow3r.data.frame_store import FrameCodec, frames_key, pack_frames, unpack_frames
from flow3r.data.video.decode import clip_frames
from flow3r.data.video.manifest import ManifestClip
from flow3r.storage.store import RecordStore

CODECS = (FrameCodec(), FrameCodec("jpeg", 95), FrameCodec("webp", 95))
MOST = 64
"""Clips that are read in turn."""


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """Seconds of `settings.batch` clips; their bytes and mean error (0 to 255) in a store."""
    size = (settings.size, settings.size)
    with tempfile.TemporaryDirectory() as folder:
        manifest = manifest_of(settings, Path(folder))
        clips = [manifest.clip(i) for i in range(min(MOST, len(manifest)))]
        say(f"video_input: {len(clips)} clips")
        stores = [_Stored(codec, clips, size, Path(folder)) for codec in CODECS]
        turn = cycle(clips)
        variants = [
            Variant(
                "decoded on the fly", _repeat(settings.batch, lambda: _decode(next(turn), size))
            ),
            *(Variant(s.name, _repeat(settings.batch, s.read)) for s in stores),
        ]
        facts = {store.name: store.facts for store in stores}
        for record in measure("video_input", variants, settings, {"clips": len(clips)}):
            speed = rounded(settings.batch / record["seconds"])
            yield {**record, "clips_per_second": speed, **facts.get(record["variant"], {})}


def _repeat(times: int, once: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            once()

    return run


def _decode(clip: ManifestClip, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The clip's own frames."""
    return clip_frames(clip, size)[list(clip.clip_positions)]


class _Stored:
    """The frames of the clips in a store of one codec."""

    def __init__(
        self, codec: FrameCodec, clips: list[ManifestClip], size: tuple[int, int], folder: Path
    ) -> None:
        lossy = codec.name != "lossless"
        self.name = f"store, {codec.name}" + (f" {codec.quality}" if lossy else "")
        self._store = RecordStore.create(folder / codec.name, "frames")
        keys, sizes, errors = [], [], []
        for clip in clips:
            frames = _decode(clip, size)
            payload = pack_frames(frames, codec)
            keys.append(frames_key(clip.fingerprint, clip.frame_numbers, size, size, codec))
            self._store.put([(keys[-1], payload)])
            sizes.append(len(payload))
            errors.append(np.abs(unpack_frames(payload).astype(int) - frames).mean())
        self._turn = cycle(keys)
        self.facts = {
            "bytes_per_clip": round(float(np.mean(sizes))),
            "mean_error": rounded(float(np.mean(errors))) if lossy else 0.0,
        }

    def read(self) -> NDArray[np.uint8]:
        """The next clip."""
        return unpack_frames(self._store.get(next(self._turn)))
