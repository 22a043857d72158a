"""Stage `video`: unlabelled clips with DIS flow out of a folder of videos."""

from __future__ import annotations

from collections.abc import Callable

from experiments.rundir import RunDirectory
from flow3r.config import from_mapping
from flow3r.data.pairs import ordered_pairs
from flow3r.data.store import ClipStoreWriter, StoreLayout
from flow3r.data.video.clips import VideoConfig, build_video_clips


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Decode and label the clips; False when stopped (the stage then starts again)."""
    config = from_mapping(VideoConfig, content["spec"])
    pairs = ordered_pairs(config.frames)
    height, width = config.size
    clips, report = build_video_clips(config, pairs)
    layout = StoreLayout(
        config.frames, height, width, tuple(map(tuple, pairs.tolist())), labelled=False
    )
    writer = ClipStoreWriter(directory.path / "clips", report["clips"], layout)
    directory.update(stage="decode", total_steps=report["clips"])
    for index, clip in enumerate(clips):
        if stop():
            return False
        writer.write(index, clip.images, clip.target_px, clip.covisibility)
        directory.update(step=index + 1)
    fingerprint = writer.finish({"videos": report, "stage": content["id"]})
    print(f"{report['clips']} clips, fingerprint {fingerprint}", flush=True)
    return True
