"""Timing in turn, peak memory, and the record of a measurement.

Two programs timed one after the other on a shared machine see different machines. So every variant
is run once in each round, in the opposite order every other round, and ratios are taken within a
round.
"""

from __future__ import annotations

import ctypes
import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from experiments.benchmarks.settings import Settings

T = TypeVar("T")

SHORTEST = 0.05
"""Seconds; a faster variant is called several times for one reading."""
LONG = 5.0
"""Seconds; the peak of a slower variant is that of its first call, with what it allocates once."""


@dataclass(frozen=True)
class Variant:
    """One way of doing the work; the first one of a list is the reference of the others."""

    name: str
    run: Callable[[], dict[str, Tensor] | None]
    """Returns the outputs that are compared with the reference's, if any are."""


def measure(
    case: str, variants: list[Variant], settings: Settings, shape: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The records of the variants, the reference first. `shape`: sizes that `settings` lack."""
    device = torch.device(settings.device)
    warm = [_warm_up(case, variant, device) for variant in variants]
    running = [(v, w) for v, w in zip(variants, warm) if w.failure is None]
    readings = interleaved(running, settings.repeats, device, case)
    reference = variants[0].name
    for variant, state in zip(variants, warm):
        compared = None if variant.name == reference else reference
        yield {
            "case": case,
            "variant": variant.name,
            "reference": compared,
            **_times(readings.get(variant.name), compared and readings.get(compared)),
            "peak_bytes": state.peak_bytes,
            **({"failure": state.failure} if state.failure else {}),
            **({"relative_error": relative_errors(state, warm[0])} if compared else {}),
            **shape,
            **surroundings(settings),
        }


@dataclass(frozen=True)
class Warm:
    """What is known of a variant before it is timed."""

    calls: int
    """In one reading."""
    peak_bytes: int | None
    outputs: dict[str, Tensor] | None
    failure: str | None = None


def _warm_up(case: str, variant: Variant, device: torch.device) -> Warm:
    say(f"{case}: warming up {variant.name}")
    start = time.perf_counter()
    try:
        peak, outputs = peak_bytes(variant.run, device)
        if time.perf_counter() - start < LONG:
            peak, outputs = peak_bytes(variant.run, device)
        once = timed(variant.run, device).seconds if time.perf_counter() - start < LONG else LONG
    except torch.OutOfMemoryError:
        return Warm(0, None, None, failure="out of memory")
    return Warm(max(1, math.ceil(SHORTEST / once)), peak, outputs)


@dataclass(frozen=True)
class Reading:
    """One call, on average over those of a round."""

    seconds: float
    cpu_seconds: float
    """Of all threads of the process; less than its wall time where other processes disturb."""


def _times(own: list[Reading] | None, reference: list[Reading] | None) -> dict[str, Any]:
    times: dict[str, Any] = {}
    for name, prefix in (("seconds", ""), ("cpu_seconds", "cpu_")):
        ours = [getattr(reading, name) for reading in own or ()]
        theirs = [getattr(reading, name) for reading in reference or ()]
        ratios = [a / b for a, b in zip(ours, theirs)]
        times[name] = rounded(statistics.median(ours)) if ours else None
        times[f"{prefix}ratio"] = rounded(statistics.median(ratios)) if ratios else None
        if not prefix:
            times["seconds_spread"] = _spread(ours)
            times["ratio_spread"] = _spread(ratios)
    return times


def _spread(values: list[float]) -> list[float] | None:
    return [rounded(min(values)), rounded(max(values))] if values else None


def relative_errors(ours: Warm, reference: Warm) -> dict[str, float] | None:
    """|ours - reference| / |reference| (norms) of every output that both returned."""
    if not (ours.outputs and reference.outputs):
        return None
    return {
        name: rounded(float((ours.outputs[name] - value).norm() / value.norm()))
        for name, value in reference.outputs.items()
        if name in ours.outputs
    }


def interleaved(
    running: list[tuple[Variant, Warm]], repeats: int, device: torch.device, case: str
) -> dict[str, list[Reading]]:
    """A reading of every round, by the variant's name."""
    readings: dict[str, list[Reading]] = {variant.name: [] for variant, _ in running}
    for number in range(repeats):
        for variant, warm in running if number % 2 == 0 else reversed(running):
            reading = timed(variant.run, device, warm.calls)
            readings[variant.name].append(reading)
            say(f"{case}: round {number + 1}/{repeats}, {variant.name}: {reading.seconds:.4g} s")
    return readings


def timed(run: Callable[[], Any], device: torch.device, calls: int = 1) -> Reading:
    """Time some calls, including what an accelerator still has to do at the end."""
    _synchronise(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    for _ in range(calls):
        run()
    _synchronise(device)
    spent, cpu_spent = time.perf_counter() - start, time.process_time() - cpu_start
    return Reading(spent / calls, cpu_spent / calls)


def peak_bytes(run: Callable[[], T], device: torch.device) -> tuple[int | None, T]:
    """Peak memory of one call, and what it returned; the script's help says what is counted."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        result = run()
        _synchronise(device)
        return torch.cuda.max_memory_allocated(device), result
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not (status.exists() and reset.exists()):
        return None, run()
    # Memory that was freed but not returned would hide as much new memory.
    ctypes.CDLL(None).malloc_trim(0)
    reset.write_text("5")  # the peak is what is resident now
    before = _resident_peak(status)
    result = run()
    return _resident_peak(status) - before, result


def surroundings(settings: Settings) -> dict[str, Any]:
    """What is needed to repeat a measurement."""
    device = torch.device(settings.device)
    on_gpu = device.type == "cuda"
    return {
        **{name: value for name, value in asdict(settings).items() if name != "case"},
        "device_name": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "torch": torch.__version__,
    }


def rounded(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")


def say(message: str) -> None:
    """Progress, on stderr."""
    print(message, file=sys.stderr, flush=True)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _resident_peak(status: Path) -> int:
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read_text()).group(1))
