"""Levels, packs and arrays."""

from __future__ import annotations

import pytest

from sweeps.executors.slurm import arrays
from sweeps.executors.slurm.arrays import levels, tasks, with_prerequisites


def ids(groups):
    return [[job.id for job in group] for group in groups]


@pytest.fixture
def jobs(workshop):
    """Two data sets, two stages of pretraining, three runs, one of which needs no pretraining."""
    return [
        workshop.job("data-a", kind="dataset"),
        workshop.job("data-b", kind="dataset"),
        workshop.job("pre-0", needs=("data-a",), kind="pretrain"),
        workshop.job("pre-1", needs=("data-a",), kind="pretrain"),
        workshop.job("run-0", needs=("data-b", "pre-0")),
        workshop.job("run-1", needs=("data-b", "pre-1")),
        workshop.job("run-2", needs=("data-b",)),
    ]


def test_a_job_is_on_the_level_after_the_last_of_its_prerequisites(jobs):
    assert ids(levels(jobs)) == [
        ["data-a", "data-b"],
        ["pre-0", "pre-1", "run-2"],
        ["run-0", "run-1"],
    ]


def test_prerequisites_that_are_not_to_be_submitted_do_not_count(jobs):
    assert ids(levels(jobs[4:])) == [["run-0", "run-1", "run-2"]]


def test_runs_are_packed_and_stages_are_not(jobs):
    assert ids(tasks(jobs, 2)) == [
        *(["data-a"], ["data-b"], ["pre-0"], ["pre-1"]),
        ["run-0", "run-1"],
        ["run-2"],
    ]


def test_a_level_larger_than_the_largest_array_is_cut(jobs, monkeypatch):
    monkeypatch.setattr(arrays, "LARGEST_ARRAY", 2)
    found = [[[job.id for job in task] for task in array] for array in arrays.arrays(jobs[4:], 1)]
    assert found == [[["run-0"], ["run-1"]], [["run-2"]]]


def test_a_task_has_what_its_runs_need_before_them(jobs):
    by_id = {job.id: job for job in jobs}
    found = with_prerequisites((by_id["run-0"], by_id["run-2"]), by_id)
    assert [job.id for job in found] == ["data-b", "data-a", "pre-0", "run-0", "run-2"]
