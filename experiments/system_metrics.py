"""What the machine is doing while a run trains: CPU, memory, disk, GPUs, into `system.jsonl`.

The run samples itself, at its heartbeats, so that it works wherever the run does. It needs psutil,
and nvidia-ml-py for the GPUs; where one is not installed, its values are left out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

FILE = "system.jsonl"
SAMPLE_SECONDS = 30.0
_MEGA = 1e6


class SystemMetrics:
    """Appends a sample to a run directory's system.jsonl, at most every `SAMPLE_SECONDS`.

    `started` is when the run first started (ISO 8601): a sample's step is the whole seconds since
    then, so steps go on growing when the run is resumed. Names are those of MLflow's page for
    system metrics; `process` means the run and what it started, in per cent of one core.
    """

    def __init__(self, directory: Path, started: str) -> None:
        self._path = directory / FILE
        self._folder = directory
        self._started = datetime.fromisoformat(started).timestamp()
        self._sampled: float | None = None
        self._active = find_spec("psutil") is not None
        if self._active:
            _drop_half_line(self._path)
            self._mark = (time.monotonic(), _process()[0])

    def sample(self) -> None:
        """Take a sample if one is due; the first one is."""
        moment = time.monotonic()
        if not self._active or (self._sampled and moment - self._sampled < SAMPLE_SECONDS):
            return
        self._sampled = moment
        metrics = {f"system/{name}": value for name, value in self._values()}
        step = max(0, round(time.time() - self._started))
        line = json.dumps({"step": step, "time": time.time(), "metrics": metrics})
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _values(self) -> Iterator[tuple[str, float]]:
        import psutil

        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._folder))
        yield "cpu_utilization_percentage", psutil.cpu_percent()
        yield "system_memory_usage_megabytes", memory.used / _MEGA
        yield "system_memory_usage_percentage", memory.percent
        yield "disk_usage_percentage", disk.percent
        yield "disk_available_megabytes", disk.free / _MEGA
        before, seconds = self._mark
        now, (busy, resident) = time.monotonic(), _process()
        self._mark = (now, busy)
        # Processes that ended in between take their time with them.
        yield "process_cpu_percentage", max(0.0, 100 * (busy - seconds) / (now - before))
        yield "process_memory_megabytes", resident / _MEGA
        yield from _gpus()


def _process() -> tuple[float, int]:
    """CPU seconds and resident bytes of this process and its children."""
    import psutil

    own = psutil.Process()
    busy, resident = 0.0, 0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
            resident += process.memory_info().rss
        except psutil.Error:  # it has just ended, or is not ours to look at
            continue
        busy += times.user + times.system
    return busy, resident


def _gpus() -> Iterator[tuple[str, float]]:
    """The GPUs that this process may use, numbered as it sees them."""
    import torch

    if find_spec("pynvml") is None or not torch.cuda.is_available():
        return
    import pynvml

    for index in range(torch.cuda.device_count()):
        identity = f"GPU-{torch.cuda.get_device_properties(index).uuid}"
        try:
            pynvml.nvmlInit()  # counts its calls; nothing happens from the second on
            handle = pynvml.nvmlDeviceGetHandleByUUID(identity.encode())
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
            watts = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
        except pynvml.NVMLError:  # no driver library, or a part of a GPU (MIG)
            continue
        yield f"gpu_{index}_memory_usage_megabytes", memory.used / _MEGA
        yield f"gpu_{index}_memory_usage_percentage", 100 * memory.used / memory.total
        yield f"gpu_{index}_utilization_percentage", busy
        yield f"gpu_{index}_power_usage_watts", watts


def _drop_half_line(path: Path) -> None:
    """Cut what a killed attempt left of its last line."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
