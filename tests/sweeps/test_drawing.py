"""Figures are drawn once per evaluation; what fails is said, and does not stop anything."""

from __future__ import annotations

import io
import json
import os

import pytest

from flow3r.files import write_json
from sweeps import drawing
from sweeps.drawing import Drawing, Undrawn, draw_all, draw_headline
from sweeps.tracking.follow import Follower


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs, one finished; a stand-in for `draw_run` writes down whom it drew."""
    runs = [(name, tmp_path / name) for name in ("open", "finished")]
    for name, directory in runs:
        finish(directory, "done" if name == "finished" else "running")
    drawn = []

    def draw(directory):
        if (directory / "poisoned").exists():
            raise ValueError("no depth")
        drawn.append(directory.name)
        (directory / "figures").mkdir(exist_ok=True)
        (directory / "figures" / "static.png").write_bytes(b"png")

    monkeypatch.setattr(drawing, "_draw", draw)
    return runs, drawn


def finish(directory, state):
    status = {"state": state, "host": "elsewhere", "pid": 1, "updated": "2999-01-01T00:00:00+00:00"}
    write_json(directory / "status.json", status)
    write_json(directory / "evaluation.json", {"benchmarks": {"static": {}}})
    (directory / "predictions").mkdir(exist_ok=True)
    (directory / "predictions" / "static.npz").write_bytes(b"npz")


def test_each_finished_run_is_drawn_once_and_again_after_a_new_evaluation(runs):
    runs, drawn = runs
    work = Drawing(runs)
    assert work.draw_next() == "finished: figures drawn"
    assert work.draw_next() is None
    assert draw_all(runs) == []
    assert drawn == ["finished"]
    predictions = runs[1][1] / "predictions" / "static.npz"
    later = predictions.stat().st_mtime + 60
    os.utime(predictions, (later, later))
    assert work.draw_next() is not None
    assert drawn == ["finished", "finished"]
    finish(runs[0][1], "done")
    work.draw_next()
    assert drawn[-1] == "open"


def test_figures_stay_where_the_predictions_were_deleted(runs):
    runs, drawn = runs
    draw_all(runs)
    (runs[1][1] / "predictions" / "static.npz").unlink()
    assert draw_all(runs) == []
    assert drawn == ["finished"]


def test_a_run_that_cannot_be_drawn_is_named_and_not_tried_over_and_over(runs):
    runs, _ = runs
    (runs[1][1] / "poisoned").touch()
    work = Drawing(runs)
    assert work.draw_next() == "finished: figures not drawn: no depth"
    assert work.draw_next() is None
    assert work.undrawn() == [Undrawn("finished", "no depth")]


class FakeProjection:
    """Counts; its store is away the first time."""

    experiment = "5"

    def __init__(self):
        self.calls = []

    def sync(self):
        self.calls.append("sync")
        if len(self.calls) == 1:
            raise ConnectionError("away")
        return 0

    def sync_study(self):
        self.calls.append("study")


def test_the_tracker_draws_answers_and_ends_with_the_study(runs, monkeypatch, capsys):
    runs, drawn = runs
    (runs[1][1] / "poisoned").touch()
    monkeypatch.setattr(Drawing, "prepare", lambda self: None)
    reader, writer = os.pipe()
    os.write(writer, b"draw\n")
    answers = io.StringIO()
    projection = FakeProjection()
    answer = json.dumps({"undrawn": [["finished", "no depth"]], "experiment": "5"})

    class Closing(io.StringIO):
        def flush(self):  # the scheduler closes its end once it has the answer
            os.close(writer)

    answers = Closing()
    Follower(lambda: projection, Drawing(runs), 60.0, reader, answers).run()
    os.close(reader)
    assert answers.getvalue() == answer + "\n"
    assert projection.calls == ["sync", "sync", "study"]
    log = capsys.readouterr().out
    assert "will try again" in log
    assert "finished: figures not drawn: no depth" in log
    assert drawn == []


@pytest.fixture
def headline(tmp_path, monkeypatch):
    """A sweep of two arms and two seeds; a stand-in writes down what was to be compared."""
    runs = [(arm, seed) for seed in (0, 1) for arm in ("flow", "plain")]
    plan = {
        "headline": {"arm": "flow", "baseline": "plain", "benchmark": "dynamic"},
        "runs": [{"arm": arm, "seed": seed, "run_id": f"{arm}{seed}"} for arm, seed in runs],
    }
    write_json(tmp_path / "reports" / "tiny" / "plan.json", plan)
    for arm, seed in runs:
        finish(tmp_path / "runs" / f"{arm}{seed}", "running")
    compared = []

    def compare(sides, benchmark, figure):
        compared.append(([(arm, [r.name for r in runs]) for arm, runs in sides], benchmark, figure))

    monkeypatch.setattr(drawing, "_compare", compare)
    return tmp_path, compared


def test_the_headline_is_drawn_over_the_seeds_that_both_arms_have(headline):
    output_dir, compared = headline
    assert "share no finished seed" in draw_headline(output_dir, "tiny")
    for run in ("flow0", "flow1", "plain1"):
        finish(output_dir / "runs" / run, "done")
    assert draw_headline(output_dir, "tiny") is None
    figure = output_dir / "reports" / "tiny" / "qualitative" / "static.png"
    assert compared == [([("flow", ["flow1"]), ("plain", ["plain1"])], "static", figure)]


def test_a_headline_that_cannot_be_drawn_is_said(headline, monkeypatch):
    output_dir, _ = headline
    for run in ("flow0", "plain0"):
        finish(output_dir / "runs" / run, "done")
    monkeypatch.setattr(drawing, "_compare", lambda *words: 1 / 0)
    assert "division by zero" in draw_headline(output_dir, "tiny")
