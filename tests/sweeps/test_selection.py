"""Which runs an invocation looks at: seeds=, only= and retry=."""

from __future__ import annotations

import pytest

from flow3r.errors import ConfigError
from flow3r.files import read_json
from sweeps.jobs import plan_jobs
from sweeps.planning.expansion import Entry
from sweeps.planning.plan_file import plan_path, record_plan, recorded_entries
from sweeps.planning.selection import chosen_runs, select
from sweeps.states import DONE, FAILED, INTERRUPTED, PENDING


def runs_of(plan, *cells):
    """Ids of (arm, seed)."""
    return {e.run_id for e in plan.entries if (e.arm, e.seed) in cells}


@pytest.fixture
def look(tiny, tmp_path):
    """Selects in the sweep `tiny`; everything is pending but for what `state` says."""
    plan = tiny.plan()
    jobs = plan_jobs(plan, tmp_path)

    def selected(state, chosen=None, retry="all"):
        state = {job.id: state.get(job.id, PENDING) for job in jobs}
        everything = frozenset(run.run_id for run in plan.runs)
        return select(jobs, state, everything if chosen is None else chosen, retry)

    return plan, selected


def ids(jobs):
    return [job.id for job in jobs]


@pytest.mark.parametrize(
    ("only", "arms"),
    [
        (["plain"], {"plain"}),
        (["fl*"], {"flow", "flow-again"}),
        (["plain", "start"], {"plain", "start"}),
        (["*"], {"plain", "flow", "flow-again", "start"}),
        (["[ps]*"], {"plain", "start"}),
    ],
)
def test_only_names_arms_and_patterns_of_them(tiny, only, arms):
    plan = tiny.plan()
    expected = {entry.run_id for entry in plan.entries if entry.arm in arms}
    assert chosen_runs(plan, only) == expected


def test_only_names_runs_by_six_or_more_of_their_digits(tiny):
    fake = tiny.fake()
    plan = tiny.plan(fake=fake, ids=lambda spec: f"abc{spec['seed']}0{len(str(spec)):07x}")
    one = plan.entries[0].run_id
    assert chosen_runs(plan, [one]) == {one}
    assert chosen_runs(plan, [one[:6]]) == {e.run_id for e in plan.entries if e.seed == 0}
    with pytest.raises(ConfigError, match=r"only='abc00' matches no run"):
        chosen_runs(plan, [one[:5]])


def test_an_only_that_matches_nothing_names_the_arms(tiny):
    with pytest.raises(ConfigError, match=r"only='flw\*' .*\['plain', 'flow', 'flow-again', 'st"):
        chosen_runs(tiny.plan(), ["plain", "flw*"])


def test_everything_unfinished_is_looked_at_with_what_it_needs(look):
    plan, selected = look
    done = runs_of(plan, ("flow", 0), ("flow", 1), ("start", 0))
    found = selected(dict.fromkeys(done, DONE) | {"dataset-src": DONE})
    assert ids(found.jobs)[:2] == ["dataset-src", "pretrain-a"]
    assert set(ids(found.jobs)[2:]) == runs_of(plan, ("plain", 0), ("plain", 1))
    assert found.left == ()


def test_chosen_runs_bring_the_stages_that_they_need_and_no_others(look):
    plan, selected = look
    chosen = runs_of(plan, ("plain", 1))
    found = selected({}, chosen)
    assert ids(found.jobs) == ["dataset-src", "pretrain-a", *chosen]
    assert set(ids(found.left)) == {run.run_id for run in plan.runs} - chosen


def test_retry_failed_takes_failed_runs_and_the_stages_they_need(look):
    plan, selected = look
    failed, done = runs_of(plan, ("flow", 0)), runs_of(plan, ("plain", 0))
    state = {**dict.fromkeys(failed, FAILED), **dict.fromkeys(done, DONE), "dataset-src": DONE}
    state |= dict.fromkeys(runs_of(plan, ("plain", 1)), INTERRUPTED)
    found = selected(state, retry="failed")
    assert [job.id for job in found.jobs if job.is_run] == list(failed)
    assert "dataset-unlabelled" in ids(found.jobs)
    assert len(found.left) == 3


def test_retry_none_leaves_failed_runs_and_what_needs_a_failed_stage(look):
    plan, selected = look
    failed = runs_of(plan, ("plain", 0))
    state = {**dict.fromkeys(failed, FAILED), "dataset-unlabelled": FAILED}
    found = selected(state, retry="none")
    expected = runs_of(plan, ("plain", 1), ("start", 0))
    assert {job.id for job in found.jobs if job.is_run} == expected
    assert set(ids(found.failed)) == {*failed, *runs_of(plan, ("flow", 0), ("flow", 1))}


def test_retry_none_says_nothing_of_failed_runs_that_were_not_asked_for(look):
    plan, selected = look
    failed = runs_of(plan, ("plain", 0))
    found = selected(dict.fromkeys(failed, FAILED), runs_of(plan, ("plain", 1)), "none")
    assert found.failed == ()
    assert set(ids(found.left)) > failed


def test_seeds_of_an_earlier_command_stay_in_the_plan_and_are_not_run(tiny):
    wide = tiny.plan(seeds=[0, 1])
    narrow = tiny.plan(seeds=[1], recorded=wide.entries)
    assert set(narrow.entries) > set(wide.entries)
    kept = {(entry.arm, entry.seed) for entry in narrow.kept}
    assert kept == {("plain", 0), ("flow", 0), ("flow-again", 0), ("start", 0)}
    asked = runs_of(narrow, ("plain", 1), ("flow", 1), ("start", 1))
    assert chosen_runs(narrow, []) == asked
    with pytest.raises(ConfigError, match="only="):
        chosen_runs(narrow, [*runs_of(narrow, ("plain", 0))])


def test_an_earlier_run_of_other_settings_does_not_stay(tiny):
    before = tiny.plan(seeds=[0, 1], overrides=["steps=3"])
    now = tiny.plan(seeds=[1], recorded=[*before.entries, Entry("gone", 0, "abc")])
    assert {(entry.arm, entry.seed) for entry in now.kept} == {("start", 0)}  # it sets its steps
    assert {entry.arm for entry in now.entries} == {"plain", "flow", "flow-again", "start"}


def test_plan_json_keeps_what_other_commands_planned(tiny, tmp_path):
    for seeds in ([0, 1], [1], [2]):
        recorded = recorded_entries(tmp_path, "tiny", "smoke")
        record_plan(tiny.plan(seeds=seeds, recorded=recorded), tmp_path)
    rows = read_json(plan_path(tmp_path, "tiny"))["runs"]
    assert {row["seed"] for row in rows if row["arm"] == "plain"} == {0, 1, 2}
    assert recorded_entries(tmp_path, "tiny", "laptop") == ()
