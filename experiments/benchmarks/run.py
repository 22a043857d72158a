"""Run a case and print its records."""

from __future__ import annotations

import importlib
import json

import torch

from experiments.assembly import choose_device
from experiments.benchmarks.settings import Settings


def run(settings: Settings) -> None:
    """One JSON object per line on stdout. Each case is the module of its name."""
    torch.set_num_threads(settings.threads)
    choose_device(settings.device)
    case = importlib.import_module(f"experiments.benchmarks.{settings.case}")
    for record in case.records(settings):
        print(json.dumps(record), flush=True)
