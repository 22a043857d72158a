"""Run directories: heartbeats, attempts, metrics."""

import json
import os
import socket

import pytest

from experiments.rundir import (
    HEARTBEAT_SECONDS,
    RunDirectory,
    is_stale,
    now,
    read_metrics,
    read_status,
)
from flow3r.errors import DataError


@pytest.fixture
def directory(tmp_path):
    return RunDirectory.create(tmp_path / "runs" / "abc", "run", "abc", {"seed": 0}, {})


def test_attempts_and_times_add_up(directory):
    directory.begin()
    directory.update(train_seconds=5.0, seconds=7.0)
    directory.end("interrupted", "stopped by signal")
    directory.begin()
    status = read_status(directory.path)
    assert status["attempts"] == 2
    assert status["state"] == "running"
    assert status["reason"] is None
    assert status["train_seconds"] == 5.0
    assert status["seconds"] == 7.0


def test_every_end_of_an_attempt_goes_into_the_history(directory):
    directory.begin()
    directory.end("failed", "MemoryError: ", "out-of-memory")
    directory.begin()  # and is killed with nobody there to write it down
    directory.begin()
    directory.end("done")
    status = read_status(directory.path)
    assert status["failure"] is None
    assert [{k: end[k] for k in end if k != "time"} for end in status["history"]] == [
        {
            "attempt": 1,
            "state": "failed",
            "failure": "out-of-memory",
            "reason": "MemoryError: ",
        },
        {
            "attempt": 2,
            "state": "interrupted",
            "failure": "killed",
            "reason": "ended without a word",
        },
    ]


def test_a_sign_of_life_is_written_when_it_is_due(directory, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("experiments.rundir.time.monotonic", lambda: clock[0])
    directory.begin()
    written = []
    monkeypatch.setattr("experiments.rundir.write_json", lambda path, status: written.append(path))
    for seconds in (0.0, HEARTBEAT_SECONDS, HEARTBEAT_SECONDS + 0.1):
        clock[0] = 100.0 + seconds
        directory.alive()
    assert len(written) == 1


def test_an_existing_spec_is_kept(directory):
    RunDirectory.create(directory.path, "run", "abc", {"seed": 1}, {})
    assert directory.spec()["spec"] == {"seed": 0}


def test_what_remains_is_done_with_the_latest_runtime_settings(directory):
    RunDirectory.create(directory.path, "run", "abc", {"seed": 1}, {"processes": 2})
    assert directory.spec() == {
        **directory.spec(),
        "spec": {"seed": 0},
        "runtime": {"processes": 2},
    }
    directory.begin()
    directory.end("done")
    RunDirectory.create(directory.path, "run", "abc", {"seed": 0}, {"processes": 3})
    assert directory.spec()["runtime"] == {"processes": 2}  # how it was computed


def test_a_missing_spec_and_an_unwritable_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"spec\.json is missing"):
        RunDirectory(tmp_path / "nothing").spec()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another output_dir"):
        RunDirectory.create(tmp_path / "file" / "runs", "run", "x", {}, {})


def test_metrics_are_cut_at_the_checkpoint_and_half_lines_ignored(directory):
    for step in (10, 20, 30):
        directory.append_metrics({"step": step, "metrics": {"a": step}})
    with open(directory.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 40, "met')
    assert [r["step"] for r in read_metrics(directory.path)] == [10, 20, 30]
    directory.truncate_metrics(20)
    assert [r["step"] for r in read_metrics(directory.path)] == [10, 20]


def test_non_finite_numbers_never_reach_the_file(directory):
    with pytest.raises(ValueError, match="JSON"):
        directory.append_metrics({"step": 1, "metrics": {"a": float("nan")}})


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({}, False),
        ({"state": "done", "pid": 2**22 + 1}, False),
        ({"pid": 2**22 + 1}, True),
        ({"host": "elsewhere", "pid": 1}, False),
        ({"host": "elsewhere", "updated": "2020-01-01T00:00:00+00:00"}, True),
    ],
)
def test_staleness(changes, stale):
    status = {"state": "running", "pid": os.getpid(), "host": socket.gethostname()}
    assert is_stale({**status, "updated": now(), **changes}) is stale


def test_status_is_plain_json(directory):
    directory.begin()
    json.loads((directory.path / "status.json").read_text())
