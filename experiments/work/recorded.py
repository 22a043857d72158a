"""Stage `recorded`: labelled clips of a downloaded dataset, written into a clip store."""

from __future__ import annotations

from collections.abc import Callable

from experiments.assembly import choose_device
from experiments.rundir import RunDirectory
from flow3r.config import from_mapping
from flow3r.data.datasets.registry import open_dataset
from flow3r.data.pairs import ordered_pairs
from flow3r.data.recorded.clips import ClipReport, recorded_clips
from flow3r.data.recorded.config import RecordedConfig
from flow3r.data.store import ClipStoreWriter, StoreLayout, is_finished
from flow3r.errors import DataError
from flow3r.files import write_json


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Read, frame and label the clips; False when stopped (the stage then starts again)."""
    clips = directory.path / "clips"
    if is_finished(clips):  # by an attempt that was killed before it could say so
        return True
    config = from_mapping(RecordedConfig, content["spec"])
    dataset = open_dataset(config.dataset, config.folder, config.settings)
    fingerprint = dataset.fingerprint()
    if config.content and fingerprint != config.content:
        raise DataError(
            f"{config.folder}: its fingerprint is {fingerprint}, but the run was composed with "
            f"{config.content}; the files have changed since, so start the run again"
        )
    pairs = ordered_pairs(config.frames)
    layout = StoreLayout(
        config.frames, *config.size, tuple(map(tuple, pairs.tolist())), labelled=True
    )
    writer = ClipStoreWriter(clips, config.count, layout)
    directory.update(stage="read", total_steps=config.count)
    report = ClipReport()
    device = str(choose_device(content["runtime"]["device"]))
    for index, clip in enumerate(recorded_clips(dataset, config, pairs, report, device)):
        if stop():
            return False
        flow = clip.flow
        writer.write(index, clip.images, flow.target_px, flow.covisibility, clip.labels)
        directory.update(step=index + 1)
    write_json(directory.path / "report.json", report.as_json())
    made = writer.finish(
        {
            "recorded": {"dataset": config.dataset, "content": fingerprint},
            "skipped_as_damaged": len(report.damaged),
            "notes": sorted(report.notes),
            "stage": content["id"],
        }
    )
    print(f"{config.count} clips of {config.dataset}, fingerprint {made}", flush=True)
    for note in (*sorted(report.notes), *report.damaged):
        print(note, flush=True)
    return True
