"""Expansion of sweeps: pure, ordered, runs and stages each once."""

from __future__ import annotations

import copy

import pytest

from flow3r.errors import ConfigError
from sweeps.jobs import needed_jobs, plan_jobs
from sweeps.planning.expansion import expand, plan_record


def test_seeds_are_the_outer_loop_and_arms_keep_their_order(tiny):
    cells = [(entry.arm, entry.seed) for entry in tiny.plan().entries]
    assert cells == [
        ("plain", 0),
        ("flow", 0),
        ("flow-again", 0),
        ("start", 0),
        ("plain", 1),
        ("flow", 1),
        ("flow-again", 1),
    ]


def test_expansion_is_repeatable_and_changes_nothing(tiny):
    before = copy.deepcopy(tiny.sweep)
    assert tiny.plan() == tiny.plan()
    assert before == tiny.sweep


def test_arms_with_the_same_config_share_their_runs(tiny):
    plan = tiny.plan()
    assert [run.arms for run in plan.runs if run.seed == 0] == [
        ("plain",),
        ("flow", "flow-again"),
        ("start",),
    ]
    assert len(plan.runs) == 5
    assert len({entry.run_id for entry in plan.entries}) == 5


def test_stages_appear_once_and_after_what_they_need(tiny):
    names = [stage.name for stage in tiny.plan().stages]
    assert names == ["dataset-src", "pretrain-a", "dataset-unlabelled"]
    flow = next(run for run in tiny.plan().runs if "flow" in run.arms)
    assert flow.depends_on == ("dataset-src", "pretrain-a", "dataset-unlabelled")


def test_every_run_has_its_own_seed_in_its_spec(tiny):
    assert all(run.spec["seed"] == run.seed for run in tiny.plan().runs)


def test_each_arm_is_composed_once_where_the_seed_is_one_number(tiny):
    fake = tiny.fake()
    tiny.plan(fake=fake, seeds=[0, 1, 2, 3])
    assert len(fake.composed) == 4 + 1  # and one more to see that the seed is in one place


def test_runs_are_composed_one_by_one_where_the_seed_enters_elsewhere_too(tiny):
    fake = tiny.fake(seed_elsewhere=True)
    plan = tiny.plan(fake=fake, seeds=[0, 1, 2])
    assert all(run.spec["order"] == run.seed + 100 for run in plan.runs)


def test_chosen_seeds_replace_the_sweeps_and_an_arm_with_fewer_keeps_its_number(tiny):
    def seeds_of(arm, chosen):
        return [e.seed for e in tiny.plan(seeds=chosen).entries if e.arm == arm]

    assert seeds_of("plain", [5, 6]) == [5, 6]
    assert seeds_of("start", [5, 6]) == [5]
    assert seeds_of("start", [1, 0]) == [0]


def test_overrides_hold_for_every_arm_but_not_against_what_makes_an_arm(tiny):
    plan = tiny.plan(overrides=["steps=3"])
    steps = {arm: run.spec["steps"] for run in plan.runs for arm in run.arms}
    assert steps == {"plain": 3, "flow": 3, "flow-again": 3, "start": 0}


@pytest.mark.parametrize("override", ["formulation=plain", "seed=1", "profile=gpu"])
def test_overrides_of_what_all_arms_set_are_refused(tiny, override):
    with pytest.raises(ConfigError, match=override.split("=")[0]):
        tiny.plan(overrides=[override])


def test_the_record_holds_what_the_report_needs(tiny):
    record = plan_record(tiny.plan(), "abc")
    assert record["arms"][1] == {
        "arm": "flow",
        "formulation": "flow",
        "unlabelled_clips": 8,
        "labelled_clips": 4,
        "yardstick": False,
    }
    assert record["arms"][3]["yardstick"] is True
    assert record["runs"][0] == {
        "arm": "plain",
        "seed": 0,
        "run_id": tiny.plan().entries[0].run_id,
        "depends_on": ["dataset-src", "pretrain-a"],
    }
    assert (record["sweep"], record["profile"], record["git_commit"]) == ("tiny", "smoke", "abc")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["dynamic", "outdoors"], r"benchmarks='outdoors'.*'dynamic', 'static'"),
        (["static"], r"headline.benchmark='dynamic'.*'static'"),
    ],
)
def test_benchmarks_are_scored_ones_with_the_headline_s(tiny, monkeypatch, named, message):
    scored = lambda runs: ["dynamic", "static"]  # noqa: E731
    monkeypatch.setattr("sweeps.planning.expansion._scored", scored)

    def planned(sweep):
        return expand(sweep, "smoke", [], None, tiny.fake().tools())

    sweep = {**tiny.sweep, "headline": {**tiny.sweep["headline"], "benchmark": "dynamic"}}
    assert "benchmarks" not in plan_record(planned(sweep), None)
    limited = plan_record(planned({**sweep, "benchmarks": ["dynamic"]}), None)
    assert limited["benchmarks"] == ["dynamic"]
    with pytest.raises(ConfigError, match=message):
        planned({**sweep, "benchmarks": named})


def test_jobs_have_their_prerequisites_before_them(tiny, tmp_path):
    seen = set()
    for job in plan_jobs(tiny.plan(), tmp_path):
        assert set(job.depends_on) <= seen
        seen.add(job.id)


def test_stages_that_only_finished_runs_need_are_left_alone(tiny, tmp_path):
    plan = tiny.plan()
    jobs = plan_jobs(plan, tmp_path)
    flow = {run.run_id for run in plan.runs if "flow" in run.arms}
    assert "dataset-unlabelled" not in {job.id for job in needed_jobs(jobs, flow)}
    assert needed_jobs(jobs, {run.run_id for run in plan.runs}) == []
