"""Planning a run on a very large set of videos, timed on a manifest of invented ones."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flow3r.config import require
from flow3r.data.epochs import Mixture
from flow3r.data.mixing import BatchConfig, BatchPlan, Share
from flow3r.data.subset import named_share, named_subset
from flow3r.data.video.manifest import Manifest, ManifestClip, read_manifest, write_manifest
from flow3r.errors import DataError

SALT = "unlabelled"
SAMPLED = 50
"""Steps whose clips are compared between the processes."""
READINGS = 9
"""Of the memory, during an epoch."""


@dataclass(frozen=True)
class Settings:
    """What is planned."""

    clips: int = 800_000
    per_step: int = 64
    processes: int = 8

    def __post_init__(self) -> None:
        require(self.clips >= 100, f"clips={self.clips} must be at least 100")
        require(
            1 <= self.processes <= self.per_step,
            f"processes={self.processes} must lie in 1..{self.per_step} (per_step)",
        )


def records(settings: Settings, folder: Path) -> Iterator[dict[str, Any]]:
    """One record per part; DataError where a check fails."""
    path = folder / "manifest.parquet"
    write = partial(write_manifest, path, invented(settings), folder)
    record = _timed("write the manifest", write)[0]
    yield {**record, "bytes": path.stat().st_size}
    record, manifest = _timed("read the manifest", partial(read_manifest, path))
    yield record
    yield from _subsets(manifest, settings)
    del manifest
    yield from _epoch(settings, settings.clips, "")
    tenth = settings.clips // 10
    sources = (tenth, 4 * tenth, settings.clips - 5 * tenth)
    yield from _epoch(settings, Mixture(sources, (3.0, 2.0, 1.0)), " of three sources")


def invented(settings: Settings) -> Iterator[ManifestClip]:
    """One clip of eight frames from each of as many videos."""
    for number in range(settings.clips):
        source = f"part-{number % 1000:03d}/video-{number:07d}.mp4"
        first = number % 900
        yield ManifestClip(
            name=f"{source}/{first:06d}",
            source=source,
            path=Path("/nowhere") / source,
            kind="file",
            fingerprint=f"{number:016x}",
            shot=0,
            frame_numbers=tuple(range(first, first + 64, 8)),
            frame_seconds=tuple((first + 8 * i) / 25 for i in range(8)),
            clip_positions=tuple(range(8)),
            height=720,
            width=1280,
            pixel_aspect=1.0,
            motion=0.1,
            overlap=0.8,
        )


def _subsets(manifest: Manifest, settings: Settings) -> Iterator[dict[str, Any]]:
    """10 % and 20 %, by number and by share."""
    record, names = _timed("read the names", lambda: manifest.column("name"))
    yield record
    tenth = settings.clips // 10
    ways: dict[str, Callable[[int], np.ndarray]] = {
        "number": lambda n: named_subset(names, n * tenth, SALT),
        "share": lambda n: named_share(names, n / 10, SALT),
    }
    for way, choose in ways.items():
        record, (small, large) = _timed(
            f"choose 10 % and 20 % by {way}", lambda choose=choose: (choose(1), choose(2))
        )
        nested = set(small.tolist()) <= set(large.tolist())
        _check(nested, f"10 % by {way} are not part of 20 %")
        yield {**record, "chosen": [len(small), len(large)], "nested": nested}


def _epoch(settings: Settings, size: int | Mixture, of: str) -> Iterator[dict[str, Any]]:
    """The first step, the shares of all processes in some steps, and an epoch on one of them."""
    plans = _plans(settings, size)
    record, _ = _timed(f"order of an epoch{of}", lambda: plans[0].step(0))
    yield record
    steps = np.linspace(0, settings.clips // settings.per_step - 1, SAMPLED).astype(int).tolist()
    record, shares = _timed(
        f"clips of {settings.processes} processes in {SAMPLED} steps{of}",
        lambda: [[_unlabelled(plan, step) for plan in plans] for step in steps],
    )
    for dealt in shares:
        places = np.concatenate([places for places, _ in dealt])
        _check(sorted(places) == list(range(settings.per_step)), "a clip is dealt twice or never")
    yield {**record, "duplicates": 0}
    yield _walk(settings, plans[-1], of)


def _walk(settings: Settings, plan: BatchPlan, of: str) -> dict[str, Any]:
    """Every step of an epoch on one process, as training asks for them."""
    steps = settings.clips // settings.per_step
    seen = np.zeros(settings.clips, dtype=np.int32)
    marks = set(np.linspace(0, steps - 1, READINGS).astype(int).tolist())
    resident: list[float] = []

    def walk() -> None:
        for step in range(steps):
            np.add.at(seen, _unlabelled(plan, step)[1], 1)
            if step in marks:
                resident.append(_resident())

    record, _ = _timed(f"an epoch on one process{of}", walk)
    growth = max(resident[1:]) - resident[1]
    most = int(seen.max())
    if not of:
        _check(most == 1, "a clip comes twice in an epoch")
    middle = len(resident) // 2
    return {
        **record,
        "steps": steps,
        "most_often": most,
        "resident_start_middle_end": [resident[0], resident[middle], resident[-1]],
        "growth": round(growth, 1),
    }


def _plans(settings: Settings, size: int | Mixture) -> list[BatchPlan]:
    """The plan of every process."""
    config = BatchConfig(replay=settings.processes, labelled=0, flexible=settings.per_step)
    sizes = {"source": 4096, "labelled": 0, "unlabelled": size}
    shares = [Share(rank, settings.processes) for rank in range(settings.processes)]
    return [BatchPlan(config, 0, sizes, share) for share in shares]


def _unlabelled(plan: BatchPlan, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in the batch and positions in the pool."""
    part = next(part for part in plan.step(step) if part.pool == "unlabelled")
    return part.places, part.positions


def _timed(part: str, run: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    print(f"{part} ...", file=sys.stderr, flush=True)
    start, cpu = time.perf_counter(), time.process_time()
    result = run()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    record = {
        "part": part,
        "seconds": float(f"{seconds:.4g}"),
        "cpu_seconds": float(f"{cpu_seconds:.4g}"),
        "resident": _resident(),
        "peak": _status("VmHWM"),
    }
    return record, result


def _resident() -> float:
    return _status("VmRSS")


def _status(name: str) -> float:
    """MB of this process (Linux)."""
    text = Path("/proc/self/status").read_text()
    return round(int(re.search(rf"{name}:\s+(\d+)", text).group(1)) / 1024, 1)


def _check(holds: bool, failure: str) -> None:
    if not holds:
        raise DataError(f"the simulation failed: {failure}")
