"""Labelling from the command line: once, resumable, counted failures, repaired damage."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from experiments.labelling.job import LabelJob
from experiments.labelling.run import choose_devices, part_of
from flow3r.data.video.manifest import read_manifest
from flow3r.errors import ConfigError
from flow3r.storage.store import RecordStore

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = ["size=24x32", "short_side=90"]
RECORDS = 7
"""Of a clip: its frames and six labels."""


def command(manifest, store, *arguments):
    return [f"manifest={manifest}", *SETTINGS, f"store={store}", *arguments]


def job(manifest, store):
    labels = {"size": [24, 32], "short_side": 90}
    return LabelJob(manifest, labels, {"name": "dis", "settings": {}}, store)


def assert_complete(manifest, store):
    """Every record is there, once, and verifies."""
    clips = len(read_manifest(manifest))
    keys, failed = job(manifest, store).keys(np.arange(clips))
    assert not failed
    for name, columns in (("frames", keys[:, :1]), ("labels", keys[:, 1:])):
        records = RecordStore.open(store / name, name)
        assert list(records.damage()) == []
        wanted = columns.reshape(-1, 32)
        assert records.has(wanted).all()
        assert len(records) == len(wanted) == len(np.unique(wanted, axis=0))


def flip(store, name):
    path = max((store / name).glob("*.data"), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


pytestmark = pytest.mark.xdist_group("label script")


@pytest.fixture(scope="module")
def manifest(make_manifest, tmp_path_factory):
    return make_manifest(tmp_path_factory.mktemp("videos"), videos=2, clips=3)


@pytest.fixture(scope="module")
def labelled(manifest, run_script, tmp_path_factory):
    """A store that two processes have filled, and what they said."""
    store = tmp_path_factory.mktemp("labelled") / "store"
    result = run_script("experiments/label.py", *command(manifest, store, "workers=2"))
    assert result.returncode == 0, result.stdout + result.stderr
    return store, result


def test_several_processes_label_everything_once(manifest, labelled):
    store, result = labelled
    found = json.loads(result.stdout)
    assert found["clips"] == found["labelled"] == 6
    assert found["new_records"] == 6 * RECORDS
    assert found["complete"]
    assert "6/6 clips, 0 failed" in result.stderr
    assert_complete(manifest, store)


def test_damage_is_named_and_made_again(manifest, labelled, run_script):
    store, _ = labelled
    flip(store, "labels")
    flip(store, "frames")
    result = run_script("experiments/label.py", *command(manifest, store, "verify=true"))
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(result.stdout)
    assert found["new_records"] == 2
    assert len(found["damaged"]) == 2
    assert any("frames of " in line for line in found["damaged"])
    assert any("label of " in line and ".mp4/0" in line for line in found["damaged"])
    assert_complete(manifest, store)
    again = run_script("experiments/label.py", *command(manifest, store, "verify=true"))
    found = json.loads(again.stdout)
    assert (found["present"], found["new_records"], found["damaged"]) == (6, 0, [])


def test_failures_are_counted_with_their_reasons(make_manifest, run_script, tmp_path):
    manifest = make_manifest(tmp_path / "videos", videos=2, clips=2)
    (tmp_path / "videos" / "0.mp4").unlink()
    arguments = command(manifest, tmp_path / "store")
    result = run_script("experiments/label.py", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(result.stdout)
    assert (found["labelled"], found["failed"]) == (2, 2)
    [(reason, times)] = found["reasons"].items()
    assert times == 2
    assert str(tmp_path) not in reason
    (tmp_path / "videos" / "1.mp4").unlink()
    result = run_script("experiments/label.py", *arguments[:-1], f"store={tmp_path / 'other'}")
    assert result.returncode == 2
    assert "no clip could be labelled: 0.mp4/000000" in result.stderr


def test_wrong_arguments_are_named(run_script, manifest, tmp_path):
    for argument, message in [
        ("teacher=exact", "teacher='exact'"),
        ("part=3/2", "part='3/2'"),
        ("size=big", "size='big'"),
        ("colour=red", "colour=red"),
        ("frames.name=png", "lossless"),
    ]:
        result = run_script("experiments/label.py", *command(manifest, tmp_path, argument))
        assert result.returncode == 2
        assert message in result.stderr


def test_parts_are_all_rows_once():
    rows = np.arange(17)
    parts = [part_of(rows, f"{i}/5") for i in range(1, 6)]
    np.testing.assert_array_equal(np.concatenate(parts), rows)
    assert {len(p) for p in parts} == {3, 4}
    for bad in ("0/2", "3/2", "x", "1", "1/0"):
        with pytest.raises(ConfigError, match="part="):
            part_of(rows, bad)


def test_learned_teachers_go_round_the_gpus(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert choose_devices("raft", "auto", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert choose_devices("raft", "cuda:1", 2) == ["cuda:1"] * 2
    assert choose_devices("raft", "cpu", 2) == choose_devices("dis", "auto", 2) == ["cpu"] * 2
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert choose_devices("ufm", "auto", 1) == ["cpu"]
    with pytest.raises(ConfigError, match="no CUDA device"):
        choose_devices("ufm", "cuda", 1)


def start(manifest, store, workers):
    script = str(REPOSITORY / "experiments" / "label.py")
    arguments = command(manifest, store, f"workers={workers}")
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def wait_for_records(process, store, more_than=0, seconds=120):
    """Until labels are being written."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        sizes = [p.stat().st_size for p in (store / "labels").glob("*.data")]
        if sum(sizes) > more_than:
            return sum(sizes)
        time.sleep(0.01)
    return more_than


@pytest.mark.slow
def test_sigterm_stops_gently_and_the_next_start_goes_on(make_manifest, tmp_path):
    manifest = make_manifest(tmp_path / "videos", videos=10, clips=4)
    store = tmp_path / "store"
    process = start(manifest, store, 2)
    wait_for_records(process, store)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    found = json.loads(output)
    assert process.returncode == 75
    assert 0 < found["labelled"] < 40
    assert not found["complete"]
    last = start(manifest, store, 2)
    found = json.loads(last.communicate(timeout=300)[0])
    assert last.returncode == 0
    assert found["present"] + found["labelled"] == 40
    assert_complete(manifest, store)


@pytest.mark.slow
def test_kills_at_random_moments(make_manifest, tmp_path):
    """kill -9 of the whole group with four writers, every third time of one writer only.

    More of them: LABEL_KILLS=20 python -m pytest -m slow tests/experiments/test_label_script.py
    """
    manifest = make_manifest(tmp_path / "videos", videos=40, clips=4)
    store, moments = tmp_path / "store", random.Random(0)
    seen = 0
    for attempt in range(int(os.environ.get("LABEL_KILLS", "4"))):
        process = start(manifest, store, 4)
        if attempt % 4:
            seen = wait_for_records(process, store, seen)
            time.sleep(moments.uniform(0, 0.5))
        else:
            time.sleep(moments.uniform(0, 5))
        if attempt % 3 == 2:
            workers = psutil.Process(process.pid).children()
            if workers:
                moments.choice(workers).kill()
                time.sleep(moments.uniform(0, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    last = start(manifest, store, 4)
    found = json.loads(last.communicate(timeout=500)[0])
    assert last.returncode == 0
    assert found["failed"] == 0
    assert found["present"] + found["labelled"] == 160
    assert_complete(manifest, store)
