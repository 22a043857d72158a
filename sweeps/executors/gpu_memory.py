"""How many runs fit on one GPU, by what finished runs of the same kind have used."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.rundir import read_status
from flow3r.files import read_json
from sweeps import states
from sweeps.executors.resources import gpus_for

ROOM = 0.2
"""On top of the peak, as a share of it: the allocator holds more than the tensors do."""
CONTEXT_BYTES = 2**30
"""Of every process, which the peak does not count: CUDA's context and libraries."""


def fitting_runs(specs: Sequence[Mapping[str, Any]], device: str, output_dir: Path) -> int:
    """Runs that share a GPU where the memory that they need decides; `device` as in a run config.

    1 where there is no GPU."""
    gpus = gpus_for(device)
    if not gpus:
        return 1
    return runs_per_gpu(measured_peaks(specs, output_dir), gpu_totals(gpus))


def runs_per_gpu(peaks: Sequence[int | None], totals: Sequence[int]) -> int:
    """How many runs share a GPU.

    peaks: measured bytes for every planned run, None where nothing like it was measured; then each
    has a GPU to itself. totals: bytes of every GPU; the smallest one decides.
    """
    if not totals or not peaks or None in peaks:
        return 1
    most = max(peak for peak in peaks if peak is not None)
    return max(1, int(min(totals) // (most * (1 + ROOM) + CONTEXT_BYTES)))


def measured_peaks(specs: Iterable[Mapping[str, Any]], output_dir: Path) -> list[int | None]:
    """Per spec, the largest peak of a finished run of its kind on a GPU in this folder, bytes."""
    largest: dict[str, int] = {}
    for path in output_dir.glob("runs/*/provenance.json"):
        status, provenance = read_status(path.parent), read_json(path)
        if status is None or status["state"] != states.DONE or provenance.get("device") == "cpu":
            continue
        if peak := provenance.get("peak_memory_bytes"):
            kind = _kind(read_json(path.parent / "spec.json")["spec"])
            largest[kind] = max(peak, largest.get(kind, 0))
    return [largest.get(_kind(spec)) for spec in specs]


def gpu_totals(gpus: Sequence[str]) -> list[int]:
    """Bytes of memory of these GPUs (ids as in CUDA_VISIBLE_DEVICES); [] where it is not told."""
    if not gpus:
        return []
    words = ["nvidia-smi", f"--id={','.join(gpus)}", "--query-gpu=memory.total"]
    try:
        answer = subprocess.run(
            [*words, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return [int(line) * 2**20 for line in answer.stdout.split()]


def _kind(spec: Mapping[str, Any]) -> str:
    """What memory depends on: all but the seed and which clips there are."""
    same = {name: spec.get(name) for name in ("formulation", "model", "training", "batch")}
    world = spec["data"].get("labelled", {}).get("world")
    return json.dumps([same, world], sort_keys=True)
