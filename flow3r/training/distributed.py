"""Processes that train one model together, each on its share of every batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from flow3r.config import require_choice
from flow3r.data.mixing import Share

STRATEGIES = ("ddp", "fsdp")
TIMEOUT = timedelta(minutes=30)
"""Longer than a checkpoint or a validation takes; a process that dies is noticed at once."""


@dataclass(frozen=True)
class Group:
    """The processes of one run, as one of them sees them; by default there is only this one."""

    rank: int = 0
    size: int = 1
    strategy: str = "ddp"
    """ddp: a copy of the model in every process; fsdp: every process holds a part of it."""

    def __post_init__(self) -> None:
        require_choice("runtime.parallel", self.strategy, STRATEGIES)

    @property
    def share(self) -> Share:
        """The part of each batch that this process works on."""
        return Share(self.rank, self.size)

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes, without gradient; every process must ask for it.

        Added in float64: in float32 a count of pixels is exact up to 2^24 only.
        """
        if self.size == 1:
            return value
        summed = value.detach().to(torch.float64)
        dist.all_reduce(summed)
        return summed.to(value.dtype)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag as raised by any process. The processes meet on the host, not on the device."""
        if self.size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return tuple(raised.bool().tolist())


ALONE = Group()


@contextlib.contextmanager
def connected(group: Group, store: dist.Store, device: torch.device) -> Iterator[None]:
    """Connect this process with the others of its group, which meet at `store`.

    After an error nothing is torn down: the others may still wait for this process, and it must
    leave at once for them to notice.
    """
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=group.rank, world_size=group.size, timeout=TIMEOUT
    )
    yield
    dist.barrier()
    dist.destroy_process_group()
