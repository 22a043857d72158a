"""Stage `pseudo-labels`: clips of a manifest and a teacher's flow for them, in the shared store."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.labelling.job import LabelJob
from experiments.labelling.run import Outcome, choose_devices, label_rows, require_some
from experiments.progress import lines_with_eta
from experiments.rundir import RunDirectory
from experiments.stages import manifest_path, store_folder
from flow3r.data.store import StoreLayout
from flow3r.data.video_clips import write_video_clips
from flow3r.errors import DataError

UPDATE_SECONDS = 1.0


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Label the clips; False when stopped. What is in the store already is not made again."""
    spec = content["spec"]
    job = job_of(content, directory.output_dir)
    _check_content(job, spec)
    report = _reporter(directory)
    order, taken = job.order(spec.get("share")), 0
    wanted = min(spec["clips"], len(order)) if "share" in spec else spec["clips"]
    outcomes: list[Outcome] = []
    while (lacking := wanted - sum(o.good().sum() for o in outcomes)) > 0 and taken < len(order):
        # The clips that fail are replaced by the next ones.
        rows = order[taken : taken + lacking]
        taken += len(rows)
        outcome = label_rows(job, rows, _devices(content), stop, report)
        if not outcome.complete:
            return False
        outcomes.append(outcome)
    if lacking > 0:
        if outcomes:
            require_some(job, outcomes[0])
        if "share" not in spec:
            raise DataError(
                f"{wanted} unlabelled clips are asked for, the videos yield {wanted - lacking} "
                f"(of {len(order)} in the manifest); set data.unlabelled_clips accordingly"
            )
    _record(directory, content, job, outcomes)
    return True


def job_of(content: dict, output_dir: Path) -> LabelJob:
    """What a stage's spec asks for."""
    spec = content["spec"]
    return LabelJob(
        manifest_path(spec, output_dir),
        spec["labels"],
        spec["teacher"],
        store_folder(content["runtime"], output_dir),
    )


def _devices(content: dict) -> list[str]:
    runtime, teacher = content["runtime"], content["spec"]["teacher"]
    return choose_devices(teacher["name"], runtime["device"], runtime.get("label_workers", 1))


def _check_content(job: LabelJob, spec: dict[str, Any]) -> None:
    """DataError where a given manifest is not the one that the run was planned with."""
    found = job.manifest.fingerprint
    if spec.get("content") and found != spec["content"]:
        raise DataError(
            f"{job.manifest_path} changed since the run was planned (fingerprint {found}, planned "
            f"with {spec['content']}); start the command again to plan anew"
        )


def _reporter(directory: RunDirectory) -> Callable[[int, int, int], None]:
    last, print_line = -np.inf, lines_with_eta("labels", sys.stdout)

    def report(done: int, total: int, failed: int) -> None:
        nonlocal last
        print_line(done, total, failed)
        if time.monotonic() - last > UPDATE_SECONDS or done == total:
            last = time.monotonic()
            directory.update(stage="label", step=done, total_steps=total)

    return report


def _record(directory: RunDirectory, content: dict, job: LabelJob, outcomes: list[Outcome]) -> None:
    """Write down which clips there are, in the order that smaller counts are taken from."""
    good = [o.good() for o in outcomes]
    keys = np.concatenate([o.keys[g] for o, g in zip(outcomes, good)])
    names = np.array(job.manifest.column("name"), object)
    kept = names[np.concatenate([o.rows[g] for o, g in zip(outcomes, good)])].tolist()
    height, width = job.settings.size
    layout = StoreLayout(job.frames, height, width, tuple(job.pairs), labelled=False)
    failed = {names[row]: why for o in outcomes for row, why in o.failed.items()}
    provenance = {
        "stage": content["id"],
        "manifest": job.manifest.fingerprint,
        "sources": len(set(job.manifest.column("source"))),
        "clips_in_manifest": len(job.manifest),
        "failed": failed,
        "teacher": job.teacher,
    }
    folder = directory.path / "clips"
    fingerprint = write_video_clips(folder, layout, keys, kept, job.stores, provenance)
    records = sum(o.records for o in outcomes)
    print(
        f"{len(keys)} clips ({records} new records, {len(failed)} clips failed), "
        f"fingerprint {fingerprint}",
        flush=True,
    )
