"""The plan of a tuning: equal for every formulation, apart from everything that is reported."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from experiments.compose import choices, compose, load_sweep
from experiments.stages import pretrain_stage
from flow3r.errors import ConfigError
from sweeps.options import Options
from sweeps.tuning.composing import CandidateComposer, value_at, with_values
from sweeps.tuning.plan import check_scenes, plan_tuning, reported_seeds
from sweeps.tuning.settings import load_tuning

PROFILES = ("smoke", "laptop", "gpu")


@cache
def planned(profile):
    return plan_tuning(Options(sweep="tuning", profile=profile))


@pytest.fixture(params=PROFILES)
def tuning(request):
    return planned(request.param)


@cache
def usual_spec(profile):
    return compose([f"profile={profile}"]).spec


def usual(tuning):
    return usual_spec(tuning.plan.profile)


def data_sets(data):
    several = [*data["source"], data["labelled"], data["unlabelled"]]
    return [*several, *data["validation"].values(), *data["test"].values()]


def test_every_formulation_tries_the_same_candidates(tuning):
    config = tuning.config
    first, *others = (tuning.of(name) for name in config.formulations)
    assert len(first) == config.candidates
    for trials in others:
        assert [t.values for t in trials] == [t.values for t in first]
    names = {run.spec["formulation"]["name"] for run in tuning.plan.runs}
    assert names == set(config.formulations)


def test_the_first_candidate_is_the_default_config(tuning):
    config = usual(tuning)
    for name in tuning.config.formulations:
        values = tuning.of(name)[0].values
        assert values == {path: value_at(config, path) for path in tuning.config.space}


def test_runs_are_what_their_overrides_compose_to(tuning):
    """Candidates are composed once per formulation; the values are put in afterwards."""
    specs = {run.run_id: run.spec for run in tuning.plan.runs}
    for trial in (tuning.of("3d-sup")[2], tuning.of("flow-factored")[1]):
        [run_id] = trial.run_ids
        words = [f"profile={tuning.plan.profile}", f"formulation={trial.formulation}"]
        words += [f"{name}={value!r}" for name, value in trial.values.items()]
        every = specs[run_id]["evaluation"]["validation_every"]
        words += [*tuning.config.scenes, f"steps.validation_every={every}"]
        assert compose([*words, f"seed={tuning.config.seeds[0]}"]).spec == specs[run_id]


def test_no_seed_is_one_of_a_reported_run(tuning):
    reported = set()
    for name in choices("sweep"):
        try:
            sweep = load_sweep(name, tuning.plan.profile)
        except ConfigError:
            continue
        reported |= set(sweep["seeds"])
    assert reported
    assert reported == reported_seeds(tuning.plan.profile)
    assert not reported & {run.seed for run in tuning.plan.runs}


def test_no_scene_is_one_of_a_reported_run(tuning):
    known = data_sets(usual(tuning)["data"])
    taken = {dataset["seed"] for dataset in known}
    withheld = {d["world"]["domain"] for d in usual(tuning)["data"]["test"].values()}
    for run in tuning.plan.runs:
        data = run.spec["data"]
        scored = [*data["validation"].values(), *data["test"].values()]
        assert not taken & {dataset["seed"] for dataset in scored}
        assert not withheld & {dataset["world"]["domain"] for dataset in scored}
    rendered = {stage.spec["seed"] for stage in tuning.plan.stages if stage.kind == "dataset"}
    tests = {dataset["seed"] for dataset in usual(tuning)["data"]["test"].values()}
    assert not rendered & tests


def test_training_differs_in_what_is_tuned_only(tuning):
    """The clips, the batches and the shared initialisation are those of the study."""
    config = usual(tuning)
    for run in tuning.plan.runs:
        assert pretrain_stage(run.spec).id == pretrain_stage(config).id
        back = with_values(run.spec, tuning.defaults)
        same = ("model", "initialisation", "batch", "loss", "training")
        assert {name: back[name] for name in same} == {name: config[name] for name in same}
        for name in ("source", "labelled", "labelled_clips", "unlabelled"):
            assert back["data"][name] == config["data"][name]


def test_every_rung_is_validated_on_all_its_scenes(tuning):
    for run in tuning.plan.runs:
        evaluation = run.spec["evaluation"]
        assert all(rung % evaluation["validation_every"] == 0 for rung in tuning.rungs)
        counts = {dataset["count"] for dataset in run.spec["data"]["validation"].values()}
        assert counts == {evaluation["validation_clips"]}


def planned_with(**changes):
    return plan_tuning(replace(Options(sweep="tuning", profile="smoke"), **changes))


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match=r"only=3d-sup: .* cannot be cut down"):
        planned_with(only=("3d-sup",))
    with pytest.raises(ConfigError, match="tuned=true belongs to the sweep that follows"):
        planned_with(tuned=True)
    with pytest.raises(ConfigError, match=r"must not see the seeds .* than \[1\]"):
        planned_with(seeds=(1, 77))
    with pytest.raises(ConfigError, match=r"loss\.flow_weight=3: sweep=tuning varies"):
        planned_with(overrides=("loss.flow_weight=3",))
    with pytest.raises(ConfigError, match=r"profile=paper; it has \['gpu', 'laptop', 'smoke'\]"):
        load_tuning("paper")


def test_a_field_that_halves_to_the_default_alone_is_refused():
    config = load_tuning("smoke")
    assert replace(config, candidates=3).candidates == 3
    with pytest.raises(ConfigError, match="candidates=2: with 1 rungs at least 3"):
        replace(config, candidates=2)
    with pytest.raises(ConfigError, match="candidates=4: with 2 rungs at least 5"):
        replace(config, candidates=4, rungs=(0.25, 0.5))


def test_scenes_of_a_study_are_refused():
    data = compose(["profile=smoke"]).spec["data"]
    with pytest.raises(ConfigError, match=r"the seeds \[41, 42, 51, 52\] are those of data sets"):
        check_scenes(data, data)
    elsewhere = {**data["test"]["dynamic"], "seed": 99}
    with pytest.raises(ConfigError, match=r"the domain \['target-test'\]"):
        check_scenes({"validation": {}, "test": {"dynamic": elsewhere}}, data)


def test_a_value_that_others_follow_is_composed_every_time():
    """Where a tuned setting stands in two places of the spec, putting it in one is not enough."""
    composed = []

    def composing(words):
        composed.append(words)
        return compose(["profile=smoke", *words])

    both = ["initialisation.pretrain.loss.flow_weight=${loss.flow_weight}"]
    for others, times in (([], 2), (both, 4)):
        composer = CandidateComposer({"loss.flow_weight"}, composing)
        composed.clear()
        for weight in (20.0, 7.0, 8.0, 9.0):
            words = [*others, f"loss.flow_weight={weight}"]
            assert composer(words).spec == compose(["profile=smoke", *words]).spec
        assert len(composed) == times
