"""Stage `dataset`: render generated clips and write them into a clip store."""

from __future__ import annotations

from collections.abc import Callable

from experiments.assembly import choose_device
from experiments.rundir import RunDirectory
from experiments.spec import DatasetConfig
from flow3r.config import from_mapping
from flow3r.data.pairs import ordered_pairs
from flow3r.data.store import LABEL_FIELDS, ClipStoreWriter, StoreLayout, is_finished
from flow3r.data.world.generate import generate_clips
from flow3r.teachers.registry import make_teacher

CHUNK = 32


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Render the data set; False when stopped (a stopped data set starts again)."""
    clips = directory.path / "clips"
    if is_finished(clips):  # by an attempt that was killed before it could say so
        return True
    config = from_mapping(DatasetConfig, content["spec"])
    world = config.world
    pairs = ordered_pairs(world.frames)
    layout = StoreLayout(
        world.frames, world.height, world.width, tuple(map(tuple, pairs.tolist())), labelled=True
    )
    writer = ClipStoreWriter(clips, config.count, layout)
    device = choose_device(content["runtime"]["device"])
    teacher = make_teacher(config.teacher.name, config.teacher.settings, str(device))
    directory.update(stage="render", total_steps=config.count)
    for start in range(0, config.count, CHUNK):
        if stop():
            return False
        indices = list(range(start, min(start + CHUNK, config.count)))
        for index, clip in zip(indices, generate_clips(world, config.seed, indices, device)):
            flow = teacher.label(clip.images, pairs, truth=clip.flow, index=index)
            labels = {name: getattr(clip, name) for name in LABEL_FIELDS}
            writer.write(index, clip.images, flow.target_px, flow.covisibility, labels)
        directory.update(step=indices[-1] + 1)
    fingerprint = writer.finish({"dataset": content["spec"], "stage": content["id"]})
    print(f"{config.count} clips, fingerprint {fingerprint}", flush=True)
    return True
