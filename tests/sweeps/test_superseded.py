"""A sweep that goes on with other settings says which finished runs it makes anew, and why."""

from __future__ import annotations

import pytest

from flow3r.files import read_json, write_json
from sweeps.planning.plan_file import plan_path, record_plan, superseded_entries
from sweeps.planning.superseded import superseded_runs
from sweeps.states import DONE, FAILED, record_outcome


def digest(spec):
    return f"{spec['formulation']['name']}-{spec['seed']}-{spec['steps']}"


@pytest.fixture
def folder(tiny, tmp_path):
    """Plans the sweep `tiny` in a folder; `end` writes the outcome of all its runs of an arm."""

    def plan(*overrides):
        return tiny.plan(overrides=overrides, ids=digest)

    def end(planned, arm, state=DONE):
        for run in planned.runs:
            if arm in run.arms:
                directory = tmp_path / "runs" / run.run_id
                write_json(directory / "spec.json", {"kind": "run", "spec": run.spec})
                record_outcome(directory, state, "")

    def notes(planned):
        return superseded_runs(planned, superseded_entries(planned, tmp_path), tmp_path)

    return tmp_path, plan, end, notes


def test_finished_runs_of_other_settings_are_named_with_what_differs(folder):
    path, plan, end, notes = folder
    before = plan()
    record_plan(before, path)
    end(before, "plain")
    end(before, "flow", FAILED)
    now = plan("steps=20")
    expected = "  steps 10 -> 20: plain seeds 0, 1"
    heading, line = notes(now)
    assert heading.startswith("note: 2 finished runs lie in this folder")
    assert line == expected
    record_plan(now, path)  # written or not, it is said
    assert notes(now)[1:] == [expected]
    assert notes(plan("steps=30"))[1:] == ["  steps 10 -> 30: plain seeds 0, 1"]


def test_nothing_is_said_once_the_new_runs_are_finished_or_the_settings_are_back(folder):
    path, plan, end, notes = folder
    before, now = plan(), plan("steps=20")
    record_plan(before, path)
    end(before, "plain")
    assert notes(plan()) == []
    record_plan(now, path)
    end(now, "plain")
    assert notes(now) == []
    record_plan(before, path)
    superseded = read_json(plan_path(path, "tiny"))["superseded"]
    assert {row["run_id"] for row in superseded} == {run.run_id for run in now.runs} - {
        run.run_id for run in before.runs
    }


def test_runs_with_the_same_difference_share_a_line(folder):
    path, plan, end, notes = folder
    before = plan()
    record_plan(before, path)
    for arm in ("plain", "flow"):
        end(before, arm)
    [_, line] = notes(plan("steps=20"))
    assert line == "  steps 10 -> 20: plain seeds 0, 1; flow seeds 0, 1; flow-again seeds 0, 1"
