"""Worker processes that load ahead: their throughput, the training they feed, and their memory."""

from __future__ import annotations

import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from experiments.benchmarks import problem
from experiments.benchmarks.measure import Variant, measure, rounded, say, surroundings, timed
from experiments.benchmarks.settings import Settings
from experiments.benchmarks.stored_clips import stored_loader, write_store
from experiments.benchmarks.train_step import TrainStep, step_batch
from flow3r.training.batches import Loader
from flow3r.training.prefetch import loading

READINGS = 9
"""Of the memory, evenly over all steps but the first ones."""
ENOUGH = 2.0
"""Seconds of training for one reading, if the steps suffice."""


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """Ratios are to a training step that has its batch at hand: loading should stay well below 1,
    and training that is fed at 1.
    """
    with tempfile.TemporaryDirectory() as folder:
        loader = stored_loader(settings, write_store(settings, Path(folder) / "clips"))
        step = TrainStep(problem.build(settings), step_batch(settings), settings.precision)
        place = iter(range(10**9))
        variants = [
            Variant("training step", lambda: step() and None),
            Variant("loading in turn", lambda: loader.step(next(place)) and None),
        ]
        known = list(measure("loader", variants, settings, {}))
        yield from known
        with loading(loader, settings.workers, end=10**9) as ahead:
            say(f"loader: starting {settings.workers} workers")
            began = time.perf_counter()
            ahead.step(0)
            started = time.perf_counter() - began
            training = known[0]["seconds"]
            yield _alone(settings, ahead, training, started)
            yield _fed(settings, ahead, step, training)


def _alone(settings: Settings, ahead: Loader, training: float, started: float) -> dict[str, Any]:
    """As fast as the workers can, and what all processes together hold in memory meanwhile."""
    say(f"loader: {settings.steps} batches")
    memory: list[int | None] = []
    warm = settings.steps // 10  # what every process allocates once is there
    marks = {warm + i * (settings.steps - 1 - warm) // (READINGS - 1) for i in range(READINGS)}

    def load(number: int) -> None:
        ahead.step(1 + number)
        if number in marks:
            memory.append(_resident())

    seconds = _each(settings, settings.steps, load)
    middle = len(memory) // 2
    return {
        **_record(settings, f"loading by {settings.workers} workers", seconds, training),
        "clips_per_second": rounded(settings.batch / seconds),
        "seconds_until_first": rounded(started),
        "resident_bytes_start_middle_end": [memory[0], memory[middle], memory[-1]],
    }


def _fed(settings: Settings, ahead: Loader, step: TrainStep, training: float) -> dict[str, Any]:
    """Training on what the workers load meanwhile."""
    count = max(settings.repeats, min(settings.steps, math.ceil(ENOUGH / training)))
    say(f"loader: {count} training steps with workers")

    def train(number: int) -> None:
        step.batch = ahead.step(1 + settings.steps + number)
        step()

    train(0)  # the queues were full
    seconds = _each(settings, count, lambda number: train(1 + number))
    return _record(settings, f"training fed by {settings.workers} workers", seconds, training)


def _each(settings: Settings, count: int, run: Callable[[int], None]) -> float:
    """Seconds of one of `count` calls."""

    def every() -> None:
        for number in range(count):
            run(number)

    return timed(every, torch.device(settings.device)).seconds / count


def _record(settings: Settings, variant: str, seconds: float, training: float) -> dict[str, Any]:
    return {
        "case": "loader",
        "variant": variant,
        "reference": "training step",
        "seconds": rounded(seconds),
        "ratio": rounded(seconds / training),
        "peak_bytes": None,
        **surroundings(settings),
    }


def _resident() -> int | None:
    """Bytes that this process and its children have in memory, shared pages once (Linux)."""
    own = Path(f"/proc/{os.getpid()}")
    children = own / "task" / str(os.getpid()) / "children"
    if not children.exists():
        return None
    total = 0
    for process in [own, *(Path("/proc") / child for child in children.read_text().split())]:
        text = (process / "smaps_rollup").read_text()
        total += 1024 * int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE).group(1))
    return total
