"""Children forked from a process that has imported everything."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from flow3r.locks import LOCK_NAME, try_lock
from sweeps.executors import warm_server
from sweeps.executors.warm import WarmStart
from sweeps.jobs import Job

# Leaves what it sees in seen.json, then does what its argument says.
SCRIPT = """
import json, os, sys, time
here = sys.argv[1]
seen = {
    "arguments": sys.argv, "folder": os.getcwd(), "first": sys.path[0], "name": __name__,
    "own": os.environ.get("OWN"), "leader": os.getsid(0) == os.getpid(), "pid": os.getpid(),
    "marked": getattr(json, "marked", False), "stdin": sys.stdin.read(),
}
json.marked = True
with open(os.path.join(here, "part"), "w") as file:
    json.dump(seen, file)
os.replace(os.path.join(here, "part"), os.path.join(here, "seen.json"))
print("printed")
exec(sys.argv[2])
"""
SLEEP = "time.sleep(60)"


@pytest.fixture
def start() -> Iterator[WarmStart]:
    """The server without its imports, which take seconds and are not what is tested here."""
    made = WarmStart(modules=("json",))
    yield made
    made.close()


@pytest.fixture
def make(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def make(name: str, code: str) -> Job:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        command = (sys.executable, str(script), str(folder), code)
        return Job(name, "run", name, folder, command, (), {})

    return make


def launch(start, job, **own):
    lock = try_lock(job.directory / LOCK_NAME)
    child = start(job, {**os.environ, **own}, lock.fd)
    lock.release()  # the child has it too
    return child


def wait_for(condition):
    end = time.monotonic() + 60.0
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def ended(child):
    wait_for(lambda: child.poll() is not None)
    return child.poll()


def seen(job):
    path = job.directory / "seen.json"
    wait_for(path.exists)
    return json.loads(path.read_text())


def test_a_child_is_what_the_command_would_be(start, make, tmp_path):
    first, second = make("a", "sys.exit(75)"), make("b", "pass")
    assert ended(launch(start, first, OWN="1")) == 75
    assert ended(launch(start, second)) == 0
    here = str(tmp_path)
    one, two = seen(first), seen(second)
    assert one["arguments"] == [*first.command[1:]]
    assert (one["name"], one["first"], one["leader"], one["stdin"]) == ("__main__", here, True, "")
    assert (one["own"], two["own"]) == ("1", None)
    assert not two["marked"]  # what the first did to a module stayed with it
    log = (first.directory / "log.txt").read_text().splitlines()
    assert log[0].startswith("---")
    assert log[1:] == ["printed"]


def test_an_error_is_in_the_log(start, make):
    job = make("a", "raise ValueError('no such thing')")
    assert ended(launch(start, job)) == 1
    assert "ValueError: no such thing" in (job.directory / "log.txt").read_text()


def test_signals_end_it_and_are_reported(start, make):
    asked, killed = make("a", SLEEP), make("b", SLEEP)
    children = [launch(start, asked), launch(start, killed)]
    for job in (asked, killed):
        seen(job)
    assert [child.poll() for child in children] == [None, None]
    children[0].terminate()
    children[1].kill()
    assert [ended(child) for child in children] == [-signal.SIGTERM, -signal.SIGKILL]


def test_the_lock_is_held_as_long_as_the_child_lives(start, make):
    job = make("a", SLEEP)
    child = launch(start, job)
    seen(job)
    assert try_lock(job.directory / LOCK_NAME) is None
    child.kill()
    ended(child)
    lock = try_lock(job.directory / LOCK_NAME)
    assert lock is not None
    lock.release()


def test_children_of_a_killed_server_count_as_killed_and_another_server_is_started(start, make):
    job, later = make("a", SLEEP), make("b", "sys.exit(3)")
    child = launch(start, job)
    pid = seen(job)["pid"]
    start.server_process().kill()
    assert ended(child) == -signal.SIGKILL
    wait_for(lambda: not _alive(pid))
    assert ended(launch(start, later)) == 3


def test_children_outlive_the_scheduler_s_end(start, make):
    """As those of a scheduler that was killed: the next one finds them at work."""
    job = make("a", "time.sleep(1); open(sys.argv[1] + '/over', 'w').close()")
    launch(start, job)
    seen(job)
    process = start.server_process()
    start.close()
    assert process.wait(60) == 0
    wait_for((job.directory / "over").exists)


def test_asking_for_a_child_does_not_wait_for_the_server(make, monkeypatch):
    """Imports may take minutes, in which leases have to be renewed."""
    late = make("late", "").directory / "imports_for_long.py"
    late.write_text("import time; time.sleep(2)")
    monkeypatch.setenv("PYTHONPATH", str(late.parent))
    start, jobs = WarmStart(modules=("imports_for_long",)), [make(n, SLEEP) for n in "abc"]
    began = time.monotonic()
    children = [launch(start, job) for job in jobs]
    assert [child.poll() for child in children] == [None] * 3
    children[0].terminate()
    children[1].kill()
    assert time.monotonic() - began < 1.5
    assert [ended(child) for child in children[:2]] == [-signal.SIGTERM, -signal.SIGKILL]
    seen(jobs[2])
    children[2].kill()
    assert ended(children[2]) == -signal.SIGKILL
    start.close()


def test_many_can_be_asked_for_at_once(start, make):
    jobs = [make(f"job{n}", f"sys.exit({n})") for n in range(32)]
    children = [launch(start, job) for job in jobs]
    assert [ended(child) for child in children] == list(range(32))


def test_a_server_that_cannot_start_is_named_in_the_log(make):
    job, start = make("a", "pass"), WarmStart(modules=("no_such_module",))
    assert ended(launch(start, job)) == -signal.SIGKILL
    assert "children are forked from has ended" in (job.directory / "log.txt").read_text()
    assert not (job.directory / "seen.json").exists()


@pytest.mark.slow
def test_the_modules_exist_and_start_no_thread(make):
    """A thread of the server would be missing in its children, with the locks it holds."""
    code = "print(sorted(sys.modules)); print(len(os.listdir('/proc/self/task')))"
    job, start = make("a", code), WarmStart()
    assert ended(launch(start, job, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")) == 0
    text = (job.directory / "log.txt").read_text()
    assert all(repr(name) in text for name in warm_server.MODULES)
    with open(f"/proc/{start.server_process().pid}/status") as status:
        assert "Threads:\t1\n" in status.read()


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
