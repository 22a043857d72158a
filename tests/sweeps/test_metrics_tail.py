"""Reading a growing metrics file: every point once, through half lines and resumes."""

from __future__ import annotations

import json

from sweeps.metrics_tail import Cursor, read_new


def line(step, loss=1.0, moment=100.0, **extra):
    record = {"step": step, "stage": "joint", "time": moment, "metrics": {"train/loss": loss}}
    return json.dumps({**record, **extra}) + "\n"


def steps(points):
    return [point.step for point in points]


def test_only_new_whole_lines_are_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1) + line(2)[:10])
    points, _, cursor = read_new(path, Cursor())
    assert steps(points) == [1]
    path.write_text(line(1) + line(2) + line(3))
    points, _, cursor = read_new(path, cursor)
    assert steps(points) == [2, 3]
    assert read_new(path, cursor)[0] == []
    assert points[0].milliseconds == 100_000


def test_a_file_cut_by_a_resume_gives_no_point_twice(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line(step, moment=1.0) for step in range(1, 6)))
    _, _, cursor = read_new(path, Cursor())
    path.write_text("".join(line(step, moment=1.0) for step in range(1, 4)))  # cut to step 3
    points, _, cursor = read_new(path, cursor)
    assert points == []
    # It has grown past where it was: only the anchor shows that these are other bytes.
    again = "".join(line(step, moment=2.25) for step in range(4, 9))
    path.write_text("".join(line(step, moment=1.0) for step in range(1, 4)) + again)
    points, _, cursor = read_new(path, cursor)
    assert steps(points) == [6, 7, 8]


def test_a_rewritten_file_longer_than_before_is_noticed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, moment=1.0) + line(2, moment=1.0))
    _, _, cursor = read_new(path, Cursor())
    path.write_text(line(1, moment=1.0) + line(2, moment=2.125) + line(3, moment=3.0))
    assert steps(read_new(path, cursor)[0]) == [3]


def test_values_that_are_not_finite_become_flags_and_not_points(tmp_path):
    path = tmp_path / "metrics.jsonl"
    bad = {
        "step": 2,
        "stage": "joint",
        "time": 1.0,
        "metrics": {},
        "nonfinite": {"train/loss": "inf"},
    }
    path.write_text(line(1) + json.dumps(bad) + "\n" + line(3, loss=float("nan")))
    points, flags, _ = read_new(path, Cursor())
    assert steps(points) == [1]
    assert flags == {"train/loss": "inf at step 2"}


def test_a_missing_file_has_nothing_new(tmp_path):
    assert read_new(tmp_path / "metrics.jsonl", Cursor()) == ([], {}, Cursor())
