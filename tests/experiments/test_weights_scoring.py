"""evaluate.py weights=...: a released file has the scores of the run it was exported from."""

import json
import shutil
import sys

import pytest
from safetensors.torch import save_file

import flow3r
from flow3r.errors import ConfigError, DataError
from flow3r.weights.files import read_weights


@pytest.fixture(scope="module")
def trained(trained, tmp_path_factory):
    """A copy of the trained run's folder, in which no other worker of pytest writes."""
    return shutil.copytree(trained, tmp_path_factory.mktemp("scoring") / "trained")


@pytest.fixture(scope="module")
def exported(trained):
    """The trained run, and its weights under the released names."""
    [run] = (trained / "runs").iterdir()
    path = trained / "exported.safetensors"
    save_file(flow3r.export_released(flow3r.load(run)), path)
    return run, path


@pytest.fixture
def evaluate(trained, small_overrides, capsys, monkeypatch):
    """evaluate(file, ...) -> what the command prints, on the benchmarks of the trained run."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # scripts change it when they are imported
    from experiments.evaluate import main

    def run(path, *arguments):
        everything = [f"weights={path}", *small_overrides, f"output_dir={trained}", *arguments]
        assert main(everything) == 0
        return capsys.readouterr().out

    return run


def test_a_released_file_scores_as_the_run_itself(exported, evaluate, trained):
    run, path = exported
    for name in ("exported", "exported-2"):  # never over an existing evaluation
        printed = evaluate(path, "device=cpu")
        folder = trained / "evaluations" / name
        assert f"evaluation: {folder}" in printed
        assert "(flow3r). Nothing is left over. Every tensor of the model was set." in printed
        assert "rra_15" in printed
        scored = json.loads((folder / "evaluation.json").read_text())
        expected = json.loads((run / "evaluation.json").read_text())
        assert scored["benchmarks"].keys() == expected["benchmarks"].keys()
        for benchmark, record in expected["benchmarks"].items():
            found = scored["benchmarks"][benchmark]
            assert found["fingerprint"] == record["fingerprint"]
            assert found["summary"] == pytest.approx(record["summary"], rel=1e-4, abs=1e-4)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["import"]["layout"] == "flow3r"
    assert (folder / "predictions" / "static.npz").exists()
    assert len(list((trained / "runs").iterdir())) == 1


def test_weights_without_a_flow_head_are_scored_with_projective_flow(exported, evaluate, trained):
    _, path = exported
    state = {k: v for k, v in read_weights(path).items() if not k.startswith("flow_head.")}
    save_file(state, trained / "pi3.safetensors")
    assert "flow_epe" in evaluate(trained / "pi3.safetensors", "model=pi3-smoke")
    spec = json.loads((trained / "evaluations" / "pi3" / "spec.json").read_text())["spec"]
    assert spec["formulation"]["name"] == "flow-projective"
    assert spec["training"]["stages"] == []


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("size.pixels=28", "cannot be cut into patches of 8 px; add size.pixels=32"),
        ("formulation=flow-tracking", r"missing: formulation\.head"),
        ("model=pi3-huge", "model='pi3-huge' is not known; choose one of"),
        ("run=outputs", "run=<run directory or checkpoint> is required, or weights="),
        ("predict=true", "predict= belongs to run="),
        ("batch.x=1", r"batch\.x=1: no such setting"),
    ],
)
def test_mistakes_are_named(argument, message, exported, evaluate, trained):
    before = sorted(trained.rglob("*"))
    with pytest.raises(ConfigError if "missing" not in message else DataError, match=message):
        evaluate(exported[1], argument)
    assert sorted(trained.rglob("*")) == before


def test_own_weights_are_scored_as_a_run(exported, evaluate):
    with pytest.raises(DataError, match="is of a run of ours; score it with run="):
        evaluate(exported[0] / "checkpoint" / "weights.pt")
    with pytest.raises(DataError, match="no weights file at"):
        evaluate(exported[0] / "absent.pt")
