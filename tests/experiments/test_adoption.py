"""A changed evaluation trains nothing anew; a changed setting costs what depends on it, no more."""

import json
import subprocess
import sys

import pytest
import torch

from experiments.adoption import training_id
from experiments.compose import compose
from experiments.identity import run_id
from experiments.rundir import read_metrics, read_status
from experiments.stages import required_stages
from flow3r.files import read_json

UNTRAINED = """
import runpy, sys
from flow3r.training.loop import Trainer
def refuse(*_):
    raise AssertionError("an optimiser step")
Trainer._optimise = refuse
sys.argv = ["experiments/train.py", *{words!r}]
runpy.run_path("experiments/train.py", run_name="__main__")
"""


def run_of(output, words):
    return output / "runs" / run_id(compose([*words]).spec)


@pytest.mark.slow
def test_other_test_scenes_are_scored_with_the_weights_there_are(
    run_script, small_overrides, tmp_path
):
    first, anew = tmp_path / "first", tmp_path / "anew"
    more = [*small_overrides, "size.test_clips=3"]
    assert (
        run_script("experiments/train.py", *small_overrides, f"output_dir={first}").returncode == 0
    )
    code = UNTRAINED.format(words=[*more, f"output_dir={first}"])
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert run_script("experiments/train.py", *more, f"output_dir={anew}").returncode == 0

    trained, adopted, expected = (
        run_of(first, small_overrides),
        run_of(first, more),
        run_of(anew, more),
    )
    assert adopted.name == expected.name != trained.name
    for name in ("evaluation.json", "status.json"):
        assert (adopted / name).exists()
    assert read_json(adopted / "evaluation.json") == read_json(expected / "evaluation.json")
    curves = [[(r["step"], r["metrics"]) for r in read_metrics(p)] for p in (adopted, expected)]
    assert curves[0] == curves[1]
    weights = [
        torch.load(p / "checkpoint" / "weights.pt", weights_only=True) for p in (adopted, expected)
    ]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])

    status, before = read_status(adopted), read_status(trained)
    assert status["state"] == "done"
    assert status["train_seconds"] >= before["train_seconds"]
    provenance, origin = (read_json(p / "provenance.json") for p in (adopted, trained))
    trained_by = provenance.pop("trained_by")
    assert trained_by == {"run": trained.name, "train_seconds": before["train_seconds"]}
    assert provenance == origin
    assert len((trained / "metrics.jsonl").read_text().splitlines()) == len(curves[0])


SMALL = ["profile=smoke"]
NOTHING, ALL = set(), {"dataset", "pretrain", "chance", "training", "run"}


@pytest.mark.parametrize(
    ("change", "computed"),
    [
        ("runtime.threads=4", NOTHING),
        ("runtime.pause_at=3", NOTHING),
        ("size.test_clips=9", {"dataset", "chance", "run"}),
        ("data.test.static.seed=99", {"dataset", "chance", "run"}),
        ("size.validation_clips=9", {"dataset", "chance", "training", "run"}),
        ("evaluation.validation_every=4", {"training", "run"}),
        ("evaluation.batch=2", {"training", "run"}),
        ("size.unlabelled_pool=17", {"dataset", "training", "run"}),
        ("size.labelled_pool=9", {"dataset", "training", "run"}),
        ("teacher=noisy", {"dataset", "training", "run"}),
        ("size.source_clips=17", {"dataset", "pretrain", "training", "run"}),
        ("steps.matching=5", {"pretrain", "training", "run"}),
        ("steps.joint=9", {"training", "run"}),
        ("seed=1", {"training", "run"}),
        ("formulation=3d-sup data.unlabelled_clips=0", {"training", "run"}),
        ("size.pixels=48", ALL),
    ],
)
def test_a_changed_setting_invalidates_what_depends_on_it(change, computed):
    assert kinds_of(change.split()) == computed


def kinds_of(change):
    """The kinds of work of the changed run that the unchanged one has not done."""
    before, after = work_of(SMALL), work_of([*SMALL, *change])
    return {kind for kind, _ in after - before}


def work_of(words):
    spec = compose(words).spec
    stages = {(stage.kind, stage.id) for stage in required_stages(spec)}
    return stages | {("training", training_id(spec)), ("run", run_id(spec))}


def test_a_run_that_is_not_finished_is_not_taken_over(tmp_path):
    from experiments.adoption import adopt_training
    from experiments.rundir import RunDirectory

    spec = {"seed": 0, "data": {"test": {"a": 1}}}
    for name, test in (("one", {"a": 1}), ("two", {"a": 2})):
        path = tmp_path / "runs" / name
        (path / "checkpoint").mkdir(parents=True)
        content = {"schema": 1, "kind": "run", "spec": {**spec, "data": {"test": test}}}
        (path / "spec.json").write_text(json.dumps(content))
    one = RunDirectory(tmp_path / "runs" / "one")
    (one.path / "checkpoint" / "last.pt").touch()
    one.append_metrics({"step": 1})
    one.begin()
    two = RunDirectory(tmp_path / "runs" / "two")
    assert adopt_training(two) is None
    assert not (two.path / "checkpoint" / "last.pt").exists()
