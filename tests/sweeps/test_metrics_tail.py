"""Reading a growing metrics file: every point once, through half lines and resumes."""

from __future__ import annotations

import json

from sweeps.tracking.metrics_tail import EMPTY, Cursor, read_new


def line(step, loss=1.0, moment=100.0, **extra):
    record = {"step": step, "stage": "joint", "time": moment, "metrics": {"train/loss": loss}}
    return json.dumps({**record, **extra}) + "\n"


def steps(tail):
    return [point.step for point in tail.points]


def test_only_new_whole_lines_are_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1) + line(2)[:10])
    first = read_new(path, Cursor())
    assert steps(first) == [1]
    path.write_text(line(1) + line(2) + line(3))
    second = read_new(path, first.cursor)
    assert steps(second) == [2, 3]
    assert not second.from_start
    assert second.points[0].milliseconds == 100_000
    assert read_new(path, second.cursor).points == []


def test_a_file_cut_by_a_resume_is_read_whole(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line(step, moment=1.0) for step in range(1, 6)))
    cursor = read_new(path, Cursor()).cursor
    kept = "".join(line(step, moment=1.0) for step in range(1, 4))
    path.write_text(kept)
    cut = read_new(path, cursor)
    assert (steps(cut), cut.from_start) == ([1, 2, 3], True)
    # It has grown past where it was: only the anchor shows that these are other bytes.
    path.write_text(kept + "".join(line(step, moment=2.25) for step in range(4, 9)))
    grown = read_new(path, cursor)
    assert (steps(grown), grown.from_start) == ([1, 2, 3, 4, 5, 6, 7, 8], True)


def test_a_rewritten_file_longer_than_before_is_noticed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, moment=1.0) + line(2, moment=1.0))
    cursor = read_new(path, Cursor()).cursor
    path.write_text(line(1, moment=1.0) + line(2, moment=2.125) + line(3, moment=3.0))
    assert steps(read_new(path, cursor)) == [1, 2, 3]


def test_of_a_step_that_is_there_twice_the_last_line_counts(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, loss=1.0) + line(1, loss=2.0))
    assert [point.value for point in read_new(path, Cursor()).points] == [2.0]


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
    tail = read_new(path, Cursor())
    assert steps(tail) == [1]
    assert tail.flags == {"train/loss": "inf at step 2"}


def test_a_missing_file_has_nothing_new(tmp_path):
    assert read_new(tmp_path / "metrics.jsonl", Cursor()) == EMPTY
