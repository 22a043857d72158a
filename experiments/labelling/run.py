"""Make all labels of a manifest, or of a part of it, that the store does not have yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.labelling.job import LabelJob, Result, label_here
from experiments.labelling.team import label_in_processes
from flow3r.config import require
from flow3r.errors import DataError
from flow3r.teachers.registry import LEARNED

NAMED = 5
"""Clips that a message names."""

Report = Callable[[int, int, int], None]
"""Called with the clips done, all there are to do, and those of them that failed."""


@dataclass
class Outcome:
    """What became of the clips of some rows."""

    rows: NDArray[np.int64]  # of the manifest
    keys: NDArray[np.uint8]  # [M, 1 + P, 32], zero for clips that can have none
    present: int = 0
    """Clips of which the store had everything."""
    labelled: int = 0
    records: int = 0
    """Of frames and labels that were made."""
    failed: dict[int, str] = field(default_factory=dict)
    complete: bool = False
    """False where it was stopped."""

    def good(self) -> NDArray[np.bool_]:
        """Which of the rows did not fail."""
        return np.array([row not in self.failed for row in self.rows.tolist()], bool)

    def summary(self) -> dict[str, Any]:
        """For printing, and for the record."""
        return {
            "clips": len(self.rows),
            "present": self.present,
            "labelled": self.labelled,
            "new_records": self.records,
            "failed": len(self.failed),
            "reasons": dict(Counter(self.failed.values()).most_common()),
            "complete": self.complete,
        }


def label_rows(
    job: LabelJob,
    rows: NDArray[np.int64],
    devices: list[str],
    stop: Callable[[], bool],
    report: Report,
) -> Outcome:
    """Label what the store lacks: in this process for one device, else in one process for each.

    Clips that fail are counted with their reasons.
    """
    keys, failed = job.keys(rows)
    there = job.stores.has(keys)
    outcome = Outcome(rows, keys, failed=failed)
    todo = [row for row, has in zip(rows.tolist(), there) if not has and row not in failed]
    outcome.present = len(rows) - len(failed) - len(todo)
    report(0, len(todo), len(failed))
    before = len(failed)
    for done, result in enumerate(_results(job, todo, devices, stop), start=1):
        outcome.records += result.new
        if result.reason is None:
            outcome.labelled += 1
        else:
            outcome.failed[result.row] = result.reason
        report(done, len(todo), len(outcome.failed))
    job.stores.flush()
    outcome.complete = outcome.labelled + len(outcome.failed) - before == len(todo)
    return outcome


def require_some(job: LabelJob, outcome: Outcome) -> None:
    """Raise DataError with the reasons where every clip failed."""
    if len(outcome.failed) == len(outcome.rows):
        named = [
            f"{job.manifest.clip(row).name}: {reason}"
            for row, reason in sorted(outcome.failed.items())[:NAMED]
        ]
        more = len(outcome.failed) - len(named)
        named += [f"and {more} more"] if more else []
        raise DataError(f"{job.manifest_path}: no clip could be labelled: {'; '.join(named)}")


def _results(
    job: LabelJob, rows: list[int], devices: list[str], stop: Callable[[], bool]
) -> Iterator[Result]:
    if len(devices) == 1:
        return label_here(job, rows, devices[0], stop)
    return label_in_processes(job, rows, devices, stop)


def choose_devices(teacher: str, device: str, workers: int) -> list[str]:
    """The device of each process: learned teachers go round all GPUs, or run where they are told.

    device: auto, cpu, cuda, or cuda:<n>.
    """
    require(workers >= 1, f"workers={workers} must be at least 1")
    if teacher not in LEARNED or device == "cpu":
        return ["cpu"] * workers
    count = torch.cuda.device_count()
    if device.startswith("cuda:"):
        return [device] * workers
    require(device == "auto" or count > 0, f"device={device!r}, but torch sees no CUDA device")
    return [f"cuda:{i % count}" if count else "cpu" for i in range(workers)]


def part_of(rows: NDArray[np.int64], text: str) -> NDArray[np.int64]:
    """The i-th of n parts, from `i/n`; ConfigError says what is wrong with the text."""
    number, _, parts = text.partition("/")
    good = number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)
    require(good, f"part={text!r} is not valid; write it as i/n with i from 1 to n, such as 2/4")
    return rows[len(rows) * (int(number) - 1) // int(parts) : len(rows) * int(number) // int(parts)]
