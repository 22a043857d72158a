"""The sweep over backbones: what it trains and what is compared. CI runs it at smoke size."""

import pytest

from experiments.compose import compose, load_sweep
from experiments.identity import run_id
from experiments.stages import required_stages
from flow3r.errors import ConfigError
from sweeps.planning.expansion import Experiments, Plan, expand, plan_record

KINDS = {
    "3d-sup": ("3d-sup", False),
    "flow-labelled": ("flow-factored", False),
    "flow-factored": ("flow-factored", True),
}
SIZES = {"smoke": "smoke", "laptop": "study", "gpu": "small"}


def planned(sweep: str, profile: str) -> Plan:
    tools = Experiments(compose=compose, run_id=run_id, required_stages=required_stages)
    return expand(load_sweep(sweep, profile), profile, [], [0], tools)


def models(plan: Plan) -> dict[str, dict]:
    return {arm: run.spec["model"] for run in plan.runs for arm in run.arms}


@pytest.mark.parametrize("profile", sorted(SIZES))
def test_both_backbones_run_the_same_three_arms(profile):
    plan = planned("backbones", profile)
    found = models(plan)
    for backbone in ("pi3", "vggt"):
        expected = compose([f"profile={profile}", f"model={backbone}-{SIZES[profile]}"]).spec
        arms = {a.name: a for a in plan.arms if a.name.startswith(f"{backbone}-")}
        assert list(arms) == [f"{backbone}-{kind}" for kind in KINDS]
        for kind, (formulation, unlabelled) in KINDS.items():
            arm = arms[f"{backbone}-{kind}"]
            assert arm.formulation == formulation
            assert (arm.unlabelled_clips > 0) == unlabelled
            assert found[arm.name] == expected["model"]


def test_a_backbone_is_compared_with_its_own_supervised_arm():
    record = plan_record(planned("backbones", "smoke"), None)
    baselines = {arm["arm"]: arm.get("baseline", record["baseline"]) for arm in record["arms"]}
    assert baselines == {
        f"{backbone}-{kind}": f"{backbone}-3d-sup" for backbone in ("pi3", "vggt") for kind in KINDS
    }


def test_each_backbone_is_pretrained_once_and_pi3_shares_its_runs_with_formulations():
    plan, main = planned("backbones", "laptop"), planned("formulations", "laptop")
    pretrained = [
        stage.spec["model"]["architecture"] for stage in plan.stages if "pretrain" in stage.kind
    ]
    assert sorted(pretrained) == ["pi3", "vggt"]
    shared = {run.run_id for run in main.runs}
    for run in plan.runs:
        assert (run.run_id in shared) == run.arms[0].startswith("pi3-")


@pytest.mark.parametrize("backbone", ["pi3", "vggt"])
def test_at_paper_size_each_backbone_starts_from_its_released_weights(backbone, tmp_path):
    files = {name: tmp_path / f"{name}.pt" for name in ("pi3", "vggt")}
    for name, path in files.items():
        path.write_text(name)
    given = [f"released_weights.{name}={path}" for name, path in files.items()]
    arms = load_sweep("backbones", "paper")["arms"]
    for kind in KINDS:
        overrides = arms[f"{backbone}-{kind}"]["overrides"]
        start = compose(["profile=paper", *given, *overrides]).spec["initialisation"]
        assert (start["kind"], start["weights"]) == (backbone, str(files[backbone]))
    other = next(name for name in files if name != backbone)
    with pytest.raises(ConfigError, match=f"Missing mandatory value: released_weights.{backbone}"):
        compose(["profile=paper", f"released_weights.{other}={files[other]}", *overrides])
