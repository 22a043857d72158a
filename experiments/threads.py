"""Torch threads of a worker process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def limit_threads(count: int) -> None:
    """Use `count` threads: runs share the cores, one each, and torch would take them all."""
    torch.set_num_threads(count)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Use `count` threads for a while; what comes after must not depend on what came before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
