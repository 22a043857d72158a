"""Torch threads of a worker process."""

from __future__ import annotations

import torch


def limit_threads(count: int) -> None:
    """Use `count` threads: runs share the cores, one each, and torch would take them all."""
    torch.set_num_threads(count)
