"""How much memory a forward pass will take, without running it.

The model runs once on tensors that have shapes and no content, and every allocation is followed.
That holds for every backbone, size and precision; what the kernels take for themselves does not
show, hence `MARGIN`.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flow3r.formulations.assembled import Flow3r

MARGIN = 1.15
"""Estimates are raised by this factor: work space of kernels, and fragmentation."""


def forward_bytes(model: Flow3r, frames: int, height: int, width: int) -> int:
    """Peak memory of one forward pass over a clip of `frames` images, on the model's own device:
    weights, input and everything computed, without the flow head.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    device = next(model.parameters()).device
    weights = sum(tensor.nbytes for tensor in _tensors(model))
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with torch.no_grad(), fake, _Allocations() as found:
        model(torch.empty(1, frames, 3, height, width, device=device))
    return round((weights + found.peak) * MARGIN)


class _Allocations(TorchDispatchMode):
    """Follows the bytes of the tensors that operations return."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        self.peak = max(self.peak, self._live)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            size = storage.nbytes()
            self._known.add(storage)
            self._live += size
            weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self._live -= size


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()
