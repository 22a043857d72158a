"""The processes that train one run: this one alone, those of torchrun, or some started from here.

The first one (rank 0) computes missing stages, writes the run directory and evaluates; the others
train along. What one fails of, the others hear through the store at which all of them meet.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from experiments.assembly import choose_device
from experiments.ending import end_process
from experiments.exit_codes import DONE, FAILED, INTERRUPTED
from experiments.rundir import RunDirectory
from flow3r.config import from_mapping, require
from flow3r.data.mixing import BatchConfig
from flow3r.errors import ConfigError
from flow3r.training.distributed import ALONE, Group, connected

ENDED_WELL = (DONE, INTERRUPTED)
LONG = timedelta(days=30)  # stages may take as long as they like
PATIENCE = 5.0  # seconds in which a process that is gone leaves a word, or somebody for it
GRACE = 30.0  # seconds in which the first process notices by itself that another one is gone
TRAIN = Path(__file__).parent / "train.py"


class Team:
    """One process; what the others build on."""

    def __init__(self, group: Group = ALONE) -> None:
        self.rank, self.size, self._group = group.rank, group.size, group

    def device(self, name: str) -> torch.device:
        """The device of this process; ConfigError where there is none for it."""
        return choose_device(name)

    def first(self, compute: Callable[[], int]) -> int:
        """Let the first process compute something; every process gets its exit code."""
        return compute()

    @contextlib.contextmanager
    def group(self, device: torch.device) -> Iterator[Group]:
        """The group for training, connected; every process enters and leaves it."""
        yield self._group

    def blame(self, error: Exception) -> str:
        """Tell the others why this process fails; the reason why the run does."""
        traceback.print_exc()
        return _describe(error)

    def leave(self, code: int) -> int:
        """The end of this process."""
        return code


SINGLE = Team()


class Member(Team):
    """One of several processes, which meet at a store."""

    def __init__(self, group: Group, store: dist.Store, local_rank: int, local_size: int) -> None:
        super().__init__(group)
        self.store, self.local_rank, self.local_size = store, local_rank, local_size

    def device(self, name: str) -> torch.device:
        device = choose_device(name)
        if device.type == "cpu":
            return device
        here = torch.cuda.device_count()
        if device.index is not None or here < self.local_size:
            raise ConfigError(
                f"runtime.device={name!r} and {self.local_size} processes on this machine: every "
                f"process needs a GPU of its own, torch sees {here}; use device=auto, cuda or cpu"
            )
        device = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(device)
        return device

    def first(self, compute: Callable[[], int]) -> int:
        if self.rank == 0:
            self.store.set("first", str(compute()))
        self.store.wait(["first"], LONG)
        return int(self.store.get("first"))

    @contextlib.contextmanager
    def group(self, device: torch.device) -> Iterator[Group]:
        with connected(self._group, dist.PrefixStore("group", self.store), device):
            yield self._group

    def blame(self, error: Exception) -> str:
        own = _describe(error)
        try:
            rank, text = self._first_failure(own, wait=isinstance(error, RuntimeError))
        except RuntimeError:  # the store was with the first process
            rank, text = 0, "ended without a word"
        if rank == self.rank or text == own:
            traceback.print_exc()
            return own
        print(f"process {self.rank} ends because of process {rank}: {text}", file=sys.stderr)
        return f"process {rank} of {self.size}: {text}"

    def _first_failure(self, own: str, wait: bool) -> tuple[int, str]:
        """Whose failure came first. One that loses a connection waits for the cause to be known."""
        with contextlib.suppress(RuntimeError):
            if wait:
                self.store.wait(["failure"], timedelta(seconds=PATIENCE))
        return self._report(self.rank, own)

    def _report(self, rank: int, text: str) -> tuple[int, str]:
        found = self.store.compare_set("failure", "", f"{rank} {text}").decode()
        first, _, reason = found.partition(" ")
        return int(first), reason

    def leave(self, code: int) -> int:
        if code not in ENDED_WELL:
            end_process(code)  # in an orderly way it would wait for those that wait for it
        return code


class Founder(Member):
    """The first process where nobody else, such as torchrun, starts the others."""

    def __init__(self, group: Group, directory: RunDirectory) -> None:
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        super().__init__(group, store, local_rank=0, local_size=group.size)
        self.directory = directory
        self._others: list[subprocess.Popen] = []
        self._leaving = threading.Event()

    @contextlib.contextmanager
    def group(self, device: torch.device) -> Iterator[Group]:
        for rank in range(1, self.size):
            process = self._start(rank)
            self._others.append(process)
            threading.Thread(target=self._watch, args=(rank, process), daemon=True).start()
        with super().group(device) as group:
            yield group

    def _start(self, rank: int) -> subprocess.Popen:
        place = {
            "RANK": rank,
            "WORLD_SIZE": self.size,
            "LOCAL_RANK": rank,
            "LOCAL_WORLD_SIZE": self.size,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": self.store.port,
        }
        return subprocess.Popen(
            [sys.executable, str(TRAIN), f"spec={self.directory.path / 'spec.json'}"],
            env={**os.environ, **{name: str(value) for name, value in place.items()}},
            stdin=subprocess.DEVNULL,
        )

    def _watch(self, rank: int, process: subprocess.Popen) -> None:
        """Say what became of a process that cannot say it itself; end a run that waits for it."""
        code = process.wait()
        if code in ENDED_WELL or self._leaving.is_set():
            return
        rank, text = self._report(rank, f"ended with exit code {code}")
        if not self._leaving.wait(GRACE):
            reason = f"process {rank} of {self.size}: {text}"
            print(reason, file=sys.stderr)
            self.directory.end("failed", reason)
            self.leave(FAILED)

    def leave(self, code: int) -> int:
        self._leaving.set()
        for process in self._others:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE if code in ENDED_WELL else 0)
            process.kill()
            process.wait()
        return super().leave(code)


def assemble(directory: RunDirectory, content: dict) -> Team:
    """The team of a run, from torchrun's environment or from its settings.

    Raises ConfigError where it could not train: before any work.
    """
    runtime = content["runtime"]
    count, strategy = runtime.get("processes", 1), runtime.get("parallel", "ddp")
    require(
        isinstance(count, int) and count >= 1, f"runtime.processes={count!r} must be at least 1"
    )
    size = int(os.environ.get("WORLD_SIZE", 1))
    from_mapping(BatchConfig, content["spec"]["batch"]).check_processes(max(size, count))
    if size > 1:
        team = _joined(strategy)
    elif count > 1:
        team = Founder(Group(0, count, strategy), directory)
    else:
        team = Team(Group(strategy=strategy))
    team.device(runtime["device"])
    return team


def _joined(strategy: str) -> Member:
    store, rank, size = next(dist.rendezvous("env://"))
    local = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    return Member(Group(rank, size, strategy), store, *local)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
