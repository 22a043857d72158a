"""The protocol of leases, with machines that are only names."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments import lease
from experiments.lease import STALE_SECONDS, VARIABLE, acquire, renewing

REPOSITORY = Path(lease.__file__).resolve().parents[1]


@pytest.fixture
def take(tmp_path, monkeypatch):
    """A function: name of a machine -> its lease of the folder, or None."""
    witness = tmp_path / ".lock"
    witness.touch()

    def attempt(machine):
        monkeypatch.setattr(lease, "machine", lambda: machine)
        return acquire(tmp_path, witness)

    return attempt


def untouched_for(held, seconds):
    then = time.time() - seconds
    os.utime(held.path, (then, then))


def test_a_fresh_lease_keeps_other_machines_out(take):
    held = take("a")
    assert take("b") is None
    assert held.renew()


def test_a_released_lease_is_free_at_once(take):
    held = take("a")
    held.release()
    assert take("b").renew()
    assert not held.renew()


def test_a_lease_of_this_machine_whose_lock_was_free_is_taken_at_once(take):
    take("a")
    assert take("a") is not None


def test_a_lease_goes_stale_and_its_holder_learns_that_it_lost_it(take):
    held = take("a")
    untouched_for(held, STALE_SECONDS - 5)
    assert take("b") is None
    untouched_for(held, STALE_SECONDS + 5)
    taken = take("b")
    assert taken.renew()
    assert not held.renew()
    held.release()  # of what it no longer has
    assert take("a") is None


def test_clocks_of_machines_do_not_matter(take, monkeypatch):
    take("a")
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert take("b") is None


def test_a_lease_without_content_is_held_until_it_is_stale(take, tmp_path):
    """Its maker was killed before it wrote into it, or is about to."""
    empty = tmp_path / ".lease-000001"
    empty.touch()
    assert take("a") is None
    os.utime(empty, (0, 0))
    assert take("a") is not None


def test_a_lease_that_finds_no_room_on_the_disk_bars_nobody(take, tmp_path, largest_file):
    largest_file(0)
    with pytest.raises(OSError, match=r"File too large: '.*/\.lease-000001'$"):
        take("a")
    largest_file(1000)
    assert take("b").renew()


def test_a_taker_who_slept_finds_out_that_others_were_quicker(take, tmp_path, monkeypatch):
    first = take("a")
    first.release()
    free = lease._is_free

    def sleep_meanwhile(path, witness):
        found = free(path, witness)
        monkeypatch.setattr(lease, "_is_free", free)
        take("b").release()
        take("c")
        return found

    monkeypatch.setattr(lease, "_is_free", sleep_meanwhile)
    assert take("sleeper") is None
    assert [path.name for path in tmp_path.glob(".lease-*")] == [".lease-000003"]


def test_of_many_takers_at_once_one_wins(tmp_path, monkeypatch):
    witness = tmp_path / ".lock"
    witness.touch()
    names = threading.local()
    monkeypatch.setattr(lease, "machine", lambda: names.own)
    for _ in range(20):
        start, won = threading.Barrier(8), []

        def compete(number, start=start, won=won):
            names.own = f"machine{number}"
            start.wait()
            if (held := acquire(tmp_path, witness)) is not None:
                won.append(held)

        threads = [threading.Thread(target=compete, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        won[0].release()


def test_a_child_renews_its_lease_while_it_works(take, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.01)
    held = take("a")
    untouched_for(held, 1000)
    with renewing(str(held.path)):
        deadline = time.monotonic() + 10
        while time.time() - held.path.stat().st_mtime > 500 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert time.time() - held.path.stat().st_mtime < 500


def test_a_child_whose_lease_was_taken_over_ends_at_once(take):
    held = take("a")
    held.release()
    take("b")
    code = (
        "import os, time\nfrom experiments import lease\nlease.RENEW_SECONDS = 0.01\n"
        f"with lease.renewing(os.environ[{VARIABLE!r}]):\n    time.sleep(60)\n"
    )
    environment = {**os.environ, VARIABLE: str(held.path), "PYTHONPATH": str(REPOSITORY)}
    child = subprocess.run([sys.executable, "-c", code], env=environment, timeout=50)
    assert child.returncode == 75
