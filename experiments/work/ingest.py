"""Stage `ingest`: the manifest of a folder of videos."""

from __future__ import annotations

import time
from collections.abc import Callable

from experiments.rundir import RunDirectory
from experiments.stages import store_folder
from flow3r.config import from_mapping
from flow3r.data.video.config import IngestConfig
from flow3r.data.video.ingest import LOOKED, Progress, ingest
from flow3r.data.video.sources import folder_content
from flow3r.errors import DataError

UPDATE_SECONDS = 1.0


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Look at the videos; False when stopped. What was looked at is not looked at again."""
    spec = content["spec"]
    folder, planned = spec["folder"], spec["content"]
    if planned and (found := folder_content(folder)) != planned:
        raise DataError(
            f"videos={folder!r}: the files changed since the run was planned (content {found}, "
            f"planned with {planned}); start the command again to plan anew"
        )
    config = from_mapping(IngestConfig, spec["ingest"])
    workers = content["runtime"].get("label_workers", 1)
    findings = store_folder(content["runtime"], directory.output_dir) / LOOKED
    manifest = ingest(
        folder, config, directory.path, workers, stop, _reporter(directory), findings=findings
    )
    if manifest is None:
        return False
    print(f"{len(manifest)} clips in the manifest, fingerprint {manifest.fingerprint}", flush=True)
    return True


def _reporter(directory: RunDirectory) -> Callable[[Progress], None]:
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > UPDATE_SECONDS:
            last = time.monotonic()
            done = progress.known + progress.looked_at
            directory.update(stage="ingest", step=done, total_steps=progress.sources)

    return report
