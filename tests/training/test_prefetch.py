"""Loading ahead in worker processes: the same bits, any start, clear errors, nothing left."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from flow3r.data.mixing import BatchConfig, Share
from flow3r.data.pairs import PairsConfig
from flow3r.data.pool import Pool
from flow3r.errors import ConfigError, DataError
from flow3r.training import prefetch
from flow3r.training.loop import Trainer
from flow3r.training.prefetch import loading

ROOT = Path(__file__).resolve().parents[2]


def assert_same(first, second):
    """Batches of the same bits."""
    assert type(first) is type(second)
    for name, value in vars(first).items():
        other = getattr(second, name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other), name
        elif dataclasses.is_dataclass(value):
            assert_same(value, other)
        else:
            assert value == other


def workers():
    """Processes that this one has started and that still run."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    commands = (Path(f"/proc/{child}/cmdline").read_bytes() for child in children)
    return [c for c, command in zip(children, commands) if b"spawn_main" in command]


def test_batches_are_those_of_the_loader_whatever_the_start(make_loader):
    """Forward from the start, then from another step as after a resume; on one rank of two."""
    loader = make_loader(share=Share(1, 2))
    with loading(loader, 2, end=12) as ahead:
        assert ahead.plan is loader.plan
        for step in (0, 1, 2, 3, 9, 10, 11, 5):
            assert_same(ahead.step(step), loader.step(step))
        assert len(workers()) == 2
    assert not workers()


def test_a_worker_that_falls_over_when_all_is_done_spoils_nothing(make_loader, monkeypatch):
    """As torch reports a worker that aborts while it ends: from within the wait for it."""
    loader = make_loader()
    with loading(loader, 2, end=3) as ahead:
        assert_same(ahead.step(0), loader.step(0))

        def fall(batches):
            monkeypatch.undo()
            raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Aborted.")

        monkeypatch.setattr(type(ahead._batches), "_shutdown_workers", fall)
    assert not workers()


def test_without_workers_it_is_the_loader_itself(make_loader):
    loader = make_loader()
    with loading(loader, 0, end=3) as same:
        assert same is loader
    with pytest.raises(ConfigError, match=r"runtime\.workers=-1"), loading(loader, -1, 3):
        pass


def test_an_unreadable_clip_is_named_and_the_workers_end(make_loader, make_store):
    """The store has no labels, so no clip of it can be read as a labelled one."""
    loader = make_loader()
    loader.pools["labelled"] = Pool.whole([make_store("bare", 3, labelled=False)])
    with loading(loader, 1, end=5) as ahead:
        with pytest.raises(DataError, match=r"^clip \d of .*bare cannot be read: .*cannot serve"):
            ahead.step(0)
        assert workers()
    assert not workers()


def test_the_clip_of_a_failing_read_is_found(make_loader, monkeypatch):
    loader = make_loader()
    part = next(p for p in loader.plan.step(0) if p.name == "unlabelled")
    pool = loader.pools["unlabelled"]
    bad = int(part.positions[1])
    read = type(pool.stores[0]).unlabelled

    def failing(store, indices, chosen=None):
        if bad in indices:
            raise ValueError("premature end of file")
        return read(store, indices, chosen)

    monkeypatch.setattr(type(pool.stores[0]), "unlabelled", failing)
    with pytest.raises(DataError, match=rf"^clip {bad} of .*target .*premature end of file"):
        loader.step(0)


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_training(
    make_loader, make_objective, make_hooks, training_config
):
    """Weights after training, with a stop and a new start in the middle."""
    weights = []
    batch = BatchConfig(2, 2, 2, pairs=PairsConfig(per_clip=1))
    for count in (0, 1, 3):
        objective, state = make_objective(), None
        for stop_after in (3, None):
            hooks, _, saved = make_hooks(stop_after=stop_after)
            with loading(make_loader(batch=batch), count, training_config.total_steps) as loader:
                Trainer(objective, loader, training_config, hooks).fit(state)
            state = saved[-1]
        weights.append(objective.module.state_dict())
    for other in weights[1:]:
        assert all(torch.equal(other[name], value) for name, value in weights[0].items())


@pytest.mark.slow
def test_a_killed_worker_is_reported(make_loader):
    with loading(make_loader(), 1, end=400) as ahead:
        ahead.step(0)
        [worker] = workers()
        os.kill(int(worker), signal.SIGKILL)
        with pytest.raises((DataError, RuntimeError), match=r"ended|killed"):
            [ahead.step(step) for step in range(1, 400)]
    assert not workers()


SCRIPT = """
import os, signal, sys, time
import numpy as np
from pathlib import Path
from flow3r.data.mixing import BatchConfig, BatchPlan
from flow3r.data.pool import Pool
from flow3r.data.store import ClipStore
from flow3r.training.batches import BatchLoader
from flow3r.training.config import AugmentationConfig
from flow3r.training.prefetch import loading

def main():
    stop = []
    signal.signal(signal.SIGTERM, lambda *a: stop.append(1))
    pool = Pool.whole([ClipStore.open(Path(sys.argv[1]))])
    pools = {name: pool for name in ("source", "labelled", "unlabelled")}
    plan = BatchPlan(BatchConfig(1, 1, 1), 0, {name: len(pool) for name in pools})
    loader = BatchLoader(plan, pools, AugmentationConfig(), "cpu")
    with loading(loader, 2, end=10**6) as ahead:
        for step in range(10**6):
            ahead.step(step)
            print("step", step, os.getpgrp(), flush=True)
            time.sleep(0.05)
            if stop:
                ahead.step(step + 1)  # the workers still serve the one that saves and stops
                print("stopped", flush=True)
                break

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("deadly", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_nothing_behind(deadly, make_store, tmp_path):
    """SIGTERM goes to the whole group, as from Slurm or a terminal; SIGKILL to one process."""
    store, script = make_store("a", 4), tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(store.path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    for line in process.stdout:
        if line.startswith("step 3"):
            break
    if deadly == signal.SIGTERM:
        os.killpg(process.pid, deadly)
        rest = process.stdout.read()
        assert "stopped" in rest
        assert process.wait(60) == 0
    else:
        process.kill()
        process.wait()
    end = time.monotonic() + 60
    while (left := _group(process.pid)) and time.monotonic() < end:
        time.sleep(0.2)
    assert not left


def _group(group: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_workers_have_one_thread_and_no_cuda(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    prefetch._begin_worker(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
