"""`tuned=true`: which arms get which values, what runs beside them, and what is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from analysis.sections.tuning import UNTUNED as READ_AS
from experiments import compose, identity, stages
from flow3r.errors import ConfigError
from sweeps.options import Options
from sweeps.planning.expansion import Experiments, expand
from sweeps.tuning.results import tuned_path
from sweeps.tuning.tuned import UNTUNED, with_chosen_values

FORMULATIONS = ("3d-sup", "flow-projective", "flow-tracking", "flow-factored")
DEFAULT = {"training.stages.1.lr": 0.001, "loss.flow_weight": 20.0, "training.stages.0.lr": 0.001}
OTHER = {"training.stages.1.lr": 0.002, "loss.flow_weight": 40.0, "training.stages.0.lr": 0.003}


@pytest.fixture
def write(tmp_path):
    """Write tuned.yaml with some entries changed; the options of the sweep that uses it."""

    def write(**changes) -> Options:
        content = {
            "profile": "smoke",
            "values": {**dict.fromkeys(FORMULATIONS, OTHER), "3d-sup": DEFAULT},
            "overrides": [],
            "seeds": [100],
            "scenes": {},
            "budget": {},
            "git_commit": None,
        }
        path = tuned_path(tmp_path, "smoke")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({**content, **changes}))
        return Options(sweep="formulations", profile="smoke", output_dir=tmp_path, tuned=True)

    return write


def transformed(options):
    return with_chosen_values(compose.load_sweep(options.sweep, options.profile), options)


def planned(sweep):
    experiments = Experiments(compose.compose, identity.run_id, stages.required_stages)
    return expand(sweep, "smoke", [], [0], experiments)


def test_arms_get_the_values_of_their_formulation(write):
    sweep = transformed(write())
    plan = planned(sweep)
    assert plan.sweep == "formulations-tuned"
    specs = {entry.arm: run.spec for entry in plan.entries for run in plan.runs
             if run.run_id == entry.run_id}  # fmt: skip
    for arm in ("flow-projective", "flow-tracking", "flow-factored", "flow-labelled"):
        assert specs[arm]["loss"]["flow_weight"] == 40.0
        assert [stage["lr"] for stage in specs[arm]["training"]["stages"]] == [0.003, 0.002]
    for arm in ("3d-sup", "3d-sup++", "initialisation"):
        assert specs[arm]["loss"]["flow_weight"] == 20.0
        assert [stage["lr"] for stage in specs[arm]["training"]["stages"]] == [0.001, 0.001]
    assert specs["flow-labelled"]["data"]["unlabelled_clips"] == 0


def test_untuned_arms_are_the_runs_of_the_sweep_itself(write):
    usual = planned(compose.load_sweep("formulations", "smoke"))
    ids = {entry.arm: entry.run_id for entry in usual.entries}
    tuned = {entry.arm: entry.run_id for entry in planned(transformed(write())).entries}
    for name in FORMULATIONS:
        assert tuned[name + UNTUNED] == ids[name]
    assert tuned["initialisation"] == ids["initialisation"]
    assert tuned["3d-sup"] == ids["3d-sup"]  # its default values were the best
    assert tuned["flow-factored"] != ids["flow-factored"]
    pretrained = {stage.name for stage in usual.stages if stage.kind == "pretrain"}
    again = {s.name for s in planned(transformed(write())).stages if s.kind == "pretrain"}
    assert again == pretrained


def test_the_difference_is_asked_for_every_formulation(write):
    plan = planned(transformed(write()))
    asked = {question["id"]: question for question in plan.questions}
    for name in FORMULATIONS:
        pair = asked[f"tuning-{name}"]["difference"]
        assert pair == {"arm": name, "baseline": name + UNTUNED}
    pair = asked["headline-untuned"]["difference"]
    assert pair == {"arm": "flow-factored-default", "baseline": "3d-sup-default"}
    assert next(iter(asked)) == "flow-helps"  # the sweep's own question still decides
    arms = {arm.name: arm for arm in plan.arms}
    assert arms["flow-factored-default"].baseline == "3d-sup-default"
    assert arms["flow-factored"].baseline is None


def test_other_sweeps_can_be_tuned(write):
    options = replace(write(), sweep="scaling")
    sweep = transformed(options)
    assert sweep["name"] == "scaling-tuned"
    assert "loss.flow_weight=40.0" in sweep["arms"]["flow-factored-16"]["overrides"]
    assert "loss.flow_weight=20.0" in sweep["arms"]["3d-sup-compute"]["overrides"]


def test_what_an_arm_sets_itself_stays(write):
    options = write()
    sweep = compose.load_sweep("formulations", "smoke")
    sweep["arms"]["flow-factored"]["overrides"].append("loss.flow_weight=5")
    overrides = with_chosen_values(sweep, options)["arms"]["flow-factored"]["overrides"]
    assert [o for o in overrides if o.startswith("loss.")] == ["loss.flow_weight=5"]


def test_mistakes_are_named(write, tmp_path):
    options = Options(sweep="formulations", profile="smoke", output_dir=tmp_path, tuned=True)
    with pytest.raises(ConfigError, match=r"needs .*sweep=tuning profile=smoke.*so far: nothing"):
        transformed(options)
    options = write()
    with pytest.raises(ConfigError, match=r"tuned there so far: \['smoke'\]"):
        transformed(replace(options, profile="laptop"))
    with pytest.raises(ConfigError, match=r"tuned=true sets loss\.flow_weight itself"):
        transformed(replace(options, overrides=("loss.flow_weight=3",)))
    with pytest.raises(ConfigError, match=r"with the overrides none, not \['steps.joint=9'\]"):
        transformed(replace(options, overrides=("steps.joint=9",)))
    with pytest.raises(ConfigError, match=r"seeds=\[100\]: the values were chosen on them"):
        transformed(replace(options, seeds=(0, 100)))
    transformed(replace(options, overrides=("runtime.device=cpu",)))
    few = write(values={"3d-sup": DEFAULT})
    with pytest.raises(ConfigError, match=r"flow-factored was not tuned|flow-\w+ was not tuned"):
        transformed(few)
    with pytest.raises(ConfigError, match=r"tuned.yaml.values=3: expected a mapping"):
        transformed(write(values=3))


def test_the_report_reads_the_names_that_the_plan_writes():
    assert READ_AS == UNTUNED
