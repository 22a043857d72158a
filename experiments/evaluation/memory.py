"""What an evaluation will take, said before it starts and held against what it may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from experiments.evaluation.sequences import LargestInput
from flow3r.config import require
from flow3r.errors import ConfigError
from flow3r.evaluation.protocols.clouds import peak_bytes
from flow3r.formulations.assembled import Flow3r
from flow3r.inference.memory import forward_bytes

GIB = 2**30
PROCESS_BYTES = 600 * 2**20
"""A process with torch and the readers loaded, and what earlier work has left in it."""
EXPORT_BYTES_PER_PIXEL = 40
"""Pictures, predicted points and their compact copy on the host, beside the forward pass."""


@dataclass(frozen=True)
class Needs:
    """Bytes of a part of the work, and what it is for."""

    what: str
    host: int
    device: int = 0
    """On a GPU, beside the host's."""

    def text(self) -> str:
        """For people: `forward pass up to 2.3 GiB (...)`."""
        gpu = f"{in_gib(self.device)} on the GPU and " if self.device else ""
        return f"{self.what}: about {gpu}{in_gib(self.host)}"


def prediction_needs(model: Flow3r, largest: LargestInput, precision: str) -> Needs:
    """Of one forward pass over the largest sequence, and of writing its files."""
    frames, height, width = largest.frames, largest.height, largest.width
    forward = forward_bytes(model, largest.shown, height, width)
    host = PROCESS_BYTES + EXPORT_BYTES_PER_PIXEL * frames * height * width
    on_gpu = next(model.parameters()).device.type == "cuda"
    what = f"forward pass over {largest.shown} frames of {width} x {height} in {precision}"
    return Needs(what, host, forward) if on_gpu else Needs(what, host + forward)


def scoring_needs(largest: LargestInput) -> Needs:
    """Of one process that scores the largest sequence."""
    frames, height, width = largest.frames, *largest.compared
    return Needs(
        f"scoring {frames} frames of {width} x {height}, each process",
        PROCESS_BYTES + peak_bytes(frames, height, width),
    )


def require_memory(needs: Needs, limit: int | None) -> None:
    """ConfigError where more is needed than `limit` bytes (of the host, and of the GPU)."""
    most = max(needs.host, needs.device)
    require(
        limit is None or most <= limit,
        f"memory={(limit or 0) / GIB:g} GiB is not enough: {needs.text()}; allow more, or make it "
        "smaller (size.width=, frames.count=; for the model also precision=bfloat16)",
    )


def scoring_processes(needs: Needs, cores: int, sequences: int, limit: int | None) -> int:
    """As many processes as there are cores and sequences, and as fit into memory; at least one.

    Without a limit, what is free now is the limit.
    """
    room = free_bytes() if limit is None else limit
    fitting = cores if room is None else int((room - PROCESS_BYTES) // needs.host)
    return max(1, min(cores, sequences, fitting))


def free_bytes() -> int | None:
    """Memory that is available on this machine; None where the system does not say."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return None
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def parse_memory(text: str | None) -> int | None:
    """`6` or `6GiB` -> bytes. ConfigError for anything else, or for nothing to work in."""
    if text is None:
        return None
    try:
        limit = float(text.strip().removesuffix("GiB").removesuffix("GB"))
    except ValueError:
        raise ConfigError(f"memory={text!r} must be a number of GiB, as in memory=6") from None
    require(limit > 0, f"memory={text!r} must be positive")
    return round(limit * GIB)


def in_gib(size: int) -> str:
    """`2.3 GiB`."""
    return f"{size / GIB:.1f} GiB"


def peak_on(device: torch.device) -> int:
    """The most that was taken so far: memory of the GPU, or resident memory of this process or of
    one that it started and that has ended.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) * 1024
