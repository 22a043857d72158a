"""The time left of a job and of a sweep."""

from __future__ import annotations

import pytest

from flow3r.files import write_json
from sweeps.jobs import Job
from sweeps.timekeeping.cost import CostModel
from sweeps.timekeeping.forecast import estimate_remaining, remaining_seconds

# Of 100 s, 80 are training; 20 go into starting and evaluating.
SECONDS, TRAINING = 100.0, 80.0


def job(folder, name, kind="run", needs=(), formulation="flow"):
    spec = {"seed": 0, "formulation": {"name": formulation}}
    return Job(name, kind, name, folder / name, (), needs, spec)


def set_status(job, step, trained, total=10, state="running"):
    status = {"state": state, "step": step, "total_steps": total, "train_seconds": trained}
    write_json(job.directory / "status.json", status)


@pytest.fixture
def costs(tmp_path) -> CostModel:
    known = CostModel({})
    known.add("run", job(tmp_path, "known").spec, SECONDS, TRAINING)
    return known


@pytest.mark.parametrize(
    ("step", "trained", "elapsed", "expected"),
    [
        (0, 0.0, 0.0, 100.0),
        (0, 0.0, 15.0, 85.0),  # starting up
        (5, 40.0, 55.0, 45.0),  # on pace, 15 of the 20 s around training are over
        (10, 80.0, 95.0, 5.0),  # evaluating
        (10, 80.0, 300.0, 0.0),  # never less than nothing
        (5, 80.0, 95.0, 0.5 * 80.0 + 0.5 * 0.0 + 5.0),  # half as fast as expected
    ],
)
def test_steps_and_the_clock_tell_what_is_left_of_a_run(
    tmp_path, costs, step, trained, elapsed, expected
):
    run = job(tmp_path, "a")
    set_status(run, step, trained)
    assert remaining_seconds(run, costs, elapsed) == pytest.approx(expected)


def test_a_run_that_goes_on_starts_up_again(tmp_path, costs):
    run = job(tmp_path, "a")
    set_status(run, 5, 40.0, state="interrupted")
    assert remaining_seconds(run, costs) == 60.0
    set_status(run, 10, 80.0, state="done")
    assert remaining_seconds(run, costs) == 0.0


def test_where_no_cost_is_known_the_steps_tell_what_they_can(tmp_path):
    run = job(tmp_path, "a")
    assert remaining_seconds(run, CostModel({}), 30.0) is None
    set_status(run, 2, 20.0)
    assert remaining_seconds(run, CostModel({}), 30.0) == 80.0


def test_runs_are_not_divided_among_slots(tmp_path, costs):
    runs = [job(tmp_path, name) for name in "abcde"]
    assert estimate_remaining(runs, costs, slots=2) == 300.0
    assert estimate_remaining(runs, costs, slots=5) == 100.0
    assert estimate_remaining([], costs, slots=2) == 0.0


def test_what_runs_keeps_its_slot(tmp_path, costs):
    runs = [job(tmp_path, name) for name in "abcd"]
    set_status(runs[0], 5, 40.0)
    # One slot after 45 s, the other at once: 45, 145 and 100, 200.
    assert estimate_remaining(runs, costs, 2, {"a": 55.0}) == 200.0
    # Three in work on two slots: one of them is another scheduler's.
    in_work = {"a": 55.0, "b": 0.0, "c": 10.0}
    assert estimate_remaining(runs, costs, 2, in_work) == 145.0


def test_prerequisites_are_waited_for(tmp_path):
    costs = CostModel({"run": 100.0, "pretrain": 60.0})
    stage = job(tmp_path, "pre", kind="pretrain")
    waiting, free = job(tmp_path, "e", needs=("pre",)), job(tmp_path, "f")
    assert estimate_remaining([stage, waiting], costs, slots=2) == 160.0
    assert estimate_remaining([stage, waiting, free], costs, slots=2) == 160.0
    assert estimate_remaining([waiting, free], costs, slots=2) == 100.0  # it is done already
    assert estimate_remaining([stage, job(tmp_path, "v", kind="video")], costs, 2) is None
