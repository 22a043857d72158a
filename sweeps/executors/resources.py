"""How many jobs this machine can run at once, and the environment each of them gets."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from flow3r.config import require

# Set for every child: without them each process starts a thread per core, and slots fight.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Slot:
    """A place for one job: the threads of each of its processes, its GPUs where there are any."""

    index: int
    threads: int = 1
    gpu: str | None = None
    variables: dict[str, str] = field(default_factory=dict)

    def where(self) -> str:
        """What people read for it."""
        return f"slot {self.index}" if self.gpu is None else f"GPU {self.gpu}"

    def environment(self) -> dict[str, str]:
        """The child's whole environment."""
        limits = dict.fromkeys(_THREAD_VARIABLES, str(self.threads))
        return {**os.environ, **limits, "PYTHONUNBUFFERED": "1", **self.variables}


def available_cores() -> int:
    """Cores this process may use: its CPU affinity, cut by the container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.exists():
        limit, _, period = quota.read_text().partition(" ")
        if limit != "max":
            cores = min(cores or 1, max(1, int(limit) // int(period)))
    return max(1, cores or 1)


def visible_gpus() -> list[str]:
    """Ids for CUDA_VISIBLE_DEVICES, one per NVIDIA GPU, without importing torch."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        return []
    return [str(i) for i, line in enumerate(_gpu_lines(listing.stdout))]


def gpus_for(device: str) -> list[str]:
    """The GPUs that runs with this `runtime.device` go to."""
    if device.startswith("cuda:"):
        return [device.removeprefix("cuda:")]
    return [] if device == "cpu" else visible_gpus()


def local_slots(
    requested: int | None, device: str, threads: int = 1, processes: int = 1, per_gpu: int = 1
) -> list[Slot]:
    """`per_gpu` slots per GPU, or one per `threads` cores where there is no GPU; as many of them to
    a slot as a run has `processes`.

    `requested` overrides the number; with GPUs, slots then share them in turn. `device` is that of
    the run config: auto, cpu, cuda, or cuda:<n> for all runs on that one GPU. Raises ConfigError
    where there are fewer GPUs than processes.
    """
    cores = available_cores()
    if device.startswith("cuda:"):
        count = requested or per_gpu
        return [Slot(i, max(1, cores // count), device.removeprefix("cuda:")) for i in range(count)]
    gpus = gpus_for(device)
    if not gpus:
        count = requested or max(1, cores // (threads * processes))
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        # As many threads as the config says, also with idle cores: the number of threads may change
        # the last bits of a result, and a run must not depend on how many others ran beside it.
        return [Slot(i, threads, None, hidden) for i in range(count)]
    require(
        len(gpus) >= processes,
        f"runtime.processes={processes}: each needs a GPU, and there are {len(gpus)} ({gpus})",
    )
    taken = range(0, len(gpus) - processes + 1, processes)
    groups = [",".join(gpus[first : first + processes]) for first in taken]
    count = requested or len(groups) * per_gpu
    return [
        Slot(i, max(1, cores // (count * processes)), group, {"CUDA_VISIBLE_DEVICES": group})
        for i, group in enumerate((groups * count)[:count])
    ]


def _gpu_lines(listing: str) -> list[str]:
    # With MIG, the devices of a GPU are listed indented below it; only GPUs count here.
    return [line for line in listing.splitlines() if line.startswith("GPU ")]
