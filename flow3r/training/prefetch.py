"""Loading ahead: worker processes prepare the batches of the next steps while a step trains.

The batch of a step is a pure function of the step, so the workers share nothing, the order is that
of the steps, and training may begin at any step: batches are the same bits however many workers
there are. Workers are new processes (`spawn`): they inherit neither CUDA nor threads.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker

import torch
from torch.utils.data import DataLoader, Dataset

from flow3r.config import require
from flow3r.data.clip import to_device
from flow3r.errors import DataError
from flow3r.training.batches import BatchLoader, Loader, StepBatch

AHEAD = 2
"""Batches that each worker has ready."""
WORKER_GONE = (RuntimeError, EOFError, OSError)
"""What is raised where a batch should come out of a process that has ended."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@contextlib.contextmanager
def loading(loader: BatchLoader, workers: int, end: int) -> Iterator[Loader]:
    """The loader itself, or `workers` processes that load ahead up to step `end`.

    They are gone when the block is left, however it is left.
    """
    require(workers >= 0, f"runtime.workers={workers} must not be negative")
    if workers == 0:
        yield loader
        return
    prefetching = PrefetchingLoader(loader, workers, end)
    try:
        yield prefetching
    finally:
        prefetching.close()


class PrefetchingLoader:
    """What a `BatchLoader` loads, prepared by worker processes."""

    def __init__(self, loader: BatchLoader, workers: int, end: int):
        self.plan, self.device = loader.plan, loader.device
        self._loader, self._workers, self._end = loader, workers, end
        self._batches: Iterator[StepBatch | Failure] | None = None
        self._next = 0

    def step(self, step: int) -> StepBatch:
        """The batch of optimiser step `step` on the device; fastest in the order of the steps.

        Raises DataError for a clip that cannot be read, or when a worker has been killed.
        """
        if self._batches is None or step != self._next:
            self.close()
            with _signals_blocked():
                self._batches = self._begin(step)
        try:
            batch = next(self._batches)
        except WORKER_GONE as error:
            raise DataError(
                f"a process that loads clips has ended ({error}); if memory or shared memory "
                f"(/dev/shm) is full, use fewer than runtime.workers={self._workers}: each has "
                f"{AHEAD} batches ready"
            ) from error
        if isinstance(batch, Failure):
            raise DataError(batch.message)
        self._next = step + 1
        return to_device(batch, self.device)

    def close(self) -> None:
        """End the workers."""
        batches, self._batches = self._batches, None
        if batches is None:
            return
        # A worker that falls over on its way out, which torch reports, has nothing left to give.
        with contextlib.suppress(RuntimeError):
            batches._shutdown_workers()
        for worker in batches._workers:
            worker.kill()  # one that hangs in a read is still there
            worker.join()

    def _begin(self, step: int) -> Iterator[StepBatch | Failure]:
        on_gpu = torch.device(self.device).type == "cuda"
        loader = DataLoader(
            _Steps(self._loader),
            sampler=range(step, self._end),
            batch_size=None,
            num_workers=self._workers,
            prefetch_factor=AHEAD,
            multiprocessing_context="spawn",
            worker_init_fn=_begin_worker,
            pin_memory=on_gpu,
            generator=torch.Generator(),  # the global one belongs to training
        )
        return iter(loader)


@dataclass(frozen=True)
class Failure:
    """Why a batch could not be loaded."""

    message: str

    def pin_memory(self) -> Failure:
        """Nothing to pin."""
        return self


class _Steps(Dataset):
    """Step number -> batch on the host, or why there is none."""

    def __init__(self, loader: BatchLoader):
        self._loader = loader

    def __getitem__(self, step: int) -> StepBatch | Failure:
        try:
            return self._loader.on_host(step)
        except DataError as error:
            return Failure(str(error))


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Processes that begin here never hear these signals, which may go to a whole group of them:
    the one that trains decides when to stop, and needs its workers until then."""
    resource_tracker.ensure_running()  # when it starts, it unblocks them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(number: int) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
