"""A store that is away: nothing ends, nothing is lost, and what remains to be done is said."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from sweeps.drawing import Drawing
from sweeps.jobs import REPOSITORY
from sweeps.tracking.follow import Follower
from sweeps.tracking.tracker import Tracker


class Store:
    """Is away for the first `absences` calls, and for some more when the report is due."""

    experiment = "7"

    def __init__(self, absences: int, study_absences: int = 0) -> None:
        self.absences, self.study_absences = absences, study_absences
        self.synced = self.studies = 0

    def _reach(self) -> None:
        if self.absences > 0:
            self.absences -= 1
            raise ConnectionError("nobody there")

    def open(self) -> Store:
        self._reach()
        return self

    def sync(self) -> int:
        self._reach()
        self.synced += 1
        return 0

    def sync_study(self) -> None:
        self.absences, self.study_absences = self.absences + self.study_absences, 0
        self._reach()
        self.studies += 1


def follow(store: Store, patience: float) -> None:
    """Track for a scheduler that has just left."""
    reader, writer = os.pipe()
    os.close(writer)
    Follower(store.open, Drawing([]), 0.01, reader, io.StringIO(), patience).run()
    os.close(reader)


@pytest.mark.parametrize(("absences", "study_absences"), [(5, 0), (0, 3), (4, 4)])
def test_a_store_that_comes_back_gets_everything(absences, study_absences):
    store = Store(absences, study_absences)
    follow(store, patience=60.0)
    assert store.synced >= 1
    assert store.studies == 1


def test_trouble_is_said_once_and_patience_ends(capsys):
    store = Store(absences=10**9)
    with pytest.raises(ConnectionError, match="nobody there"):
        follow(store, patience=0.05)
    assert capsys.readouterr().out.count("will try again") == 1


def test_an_answer_without_a_store_names_no_experiment():
    answers = io.StringIO()
    reader, writer = os.pipe()
    os.write(writer, b"draw\n")

    class Leaving(Drawing):
        def undrawn(self):
            os.close(writer)  # the scheduler has its answer and goes
            return super().undrawn()

    with pytest.raises(ConnectionError):
        Follower(Store(10**9).open, Leaving([]), 0.01, reader, answers, 0.0).run()
    assert json.loads(answers.getvalue()) == {"undrawn": [], "experiment": None}


@pytest.mark.slow
def test_a_sweep_whose_server_never_answers_says_how_to_project_it_later(make_folder, monkeypatch):
    folder = make_folder()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("sweeps.tracking.tracker._LAST_SYNC_SECONDS", 1.0)
    uri = f"http://127.0.0.1:{free_port()}"
    tracker = Tracker(folder.path, folder.sweep, uri)
    problem = tracker.finish()
    command = f"python sweeps/track.py sync output_dir={folder.path} sweep=tiny tracking_uri={uri}"
    assert "the runs are safe" in problem
    assert f"'{command}'" in problem


@pytest.mark.slow
def test_a_server_that_was_away_ends_with_what_a_file_has(make_folder, tmp_path):
    folder = make_folder("sweep")
    folder.append(7, file="system.jsonl", metrics={"system/cpu_utilization_percentage": 12.5})
    folder.finish()
    folder.write_report()
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    away = track(folder, uri, retries=0)
    assert away.returncode == 3
    assert f"{uri} is not up to date" in away.stderr
    assert "Traceback" not in away.stderr
    with mlflow_server(tmp_path / "server", port):
        assert track(folder, uri).returncode == 0
        assert track(folder, uri).stdout == "tiny: 0 metric values written\n"
        served = folder.contents(uri)
    projection = folder.projection()
    projection.sync()
    projection.sync_study()
    assert served == folder.contents()


def track(folder, uri: str, retries: int = 3) -> subprocess.CompletedProcess:
    words = [f"output_dir={folder.path}", f"sweep={folder.sweep}", f"tracking_uri={uri}"]
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "sweeps" / "track.py"), "sync", *words],
        env={**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries)},
        capture_output=True,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


@contextmanager
def mlflow_server(folder, port: int):
    folder.mkdir()
    words = ["server", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    with open(folder / "log.txt", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server)
        yield
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _wait_for(address: str, server: subprocess.Popen) -> None:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the server did not start")
