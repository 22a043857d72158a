"""Which operations take the time of a forward pass or of a training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from experiments.benchmarks import problem
from experiments.benchmarks.flops import utilisation
from experiments.benchmarks.forward import forward
from experiments.benchmarks.measure import peak_bytes, rounded, say, surroundings, timed
from experiments.benchmarks.settings import Settings
from experiments.benchmarks.train_step import TrainStep, step_batch
from flow3r.training.compilation import compile_blocks
from flow3r.training.flops import count_flops

LARGEST = 3


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """The whole program, then its costliest operations by their own time (on a GPU: kernels).

    Of an operation, `ratio` is its share of the time of all operations.
    """
    device = torch.device(settings.device)
    say("profile: building the model")
    run = _program(settings)
    run()
    flops = count_flops(run)
    seconds = min(timed(run, device).seconds for _ in range(settings.repeats))
    head = {"case": "profile", "reference": None, **surroundings(settings)}
    yield {
        **head,
        "variant": settings.part,
        "seconds": rounded(seconds),
        "ratio": None,
        "peak_bytes": peak_bytes(run, device)[0],
        **utilisation(flops, seconds, settings, settings.precision),
    }
    say("profile: under the profiler")
    costs = _costs(run, device)
    total = sum(cost for _, cost, _ in costs)
    for name, cost, calls in costs[:LARGEST]:
        yield {
            **head,
            "variant": name,
            "reference": settings.part,
            "seconds": rounded(cost),
            "ratio": rounded(cost / total),
            "peak_bytes": None,
            "calls": calls,
        }


def _program(settings: Settings) -> Callable[[], Any]:
    model = problem.build(settings)
    if settings.compile:
        compile_blocks(model, settings.device)
    if settings.part == "forward":
        return forward(model.eval(), settings, settings.precision)
    return TrainStep(model, step_batch(settings), settings.precision)


def _costs(run: Callable[[], Any], device: torch.device) -> list[tuple[str, float, int]]:
    """(operation, own seconds, calls), the costliest first."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        run()
    attribute = f"self_{'cpu' if device.type == 'cpu' else 'device'}_time_total"
    costs = [
        (event.key, getattr(event, attribute) / 1e6, event.count)
        for event in profiler.key_averages()
        if event.device_type.name.lower() == device.type  # of a GPU: kernels, not who started them
    ]
    return sorted(costs, key=lambda cost: -cost[1])
