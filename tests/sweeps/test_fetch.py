"""Records rebuilt from MLflow are the records of the run directories."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from analysis.records import learning_curves, load_records
from experiments.rundir import now
from flow3r.errors import DataError
from flow3r.files import read_json, write_json, write_text
from sweeps.fetch import fetch, main
from sweeps.jobs import REPOSITORY
from sweeps.tracking.store import SweepProjection
from sweeps.tracking.uri import default_uri

ARMS = ("plain", "flow")
SEEDS = (0, 1)


def run_id(arm, seed):
    return f"{arm}{seed}".ljust(12, "0")


def write_run(directory, arm, seed):
    scenes = [
        {"scene": f"dynamic/{k}", "metrics": {"rra_15": 50.0 + 10 * seed + k + len(arm)}}
        for k in range(3)
    ]
    mean = float(np.mean([row["metrics"]["rra_15"] for row in scenes]))
    benchmark = {"fingerprint": "f", "scenes": scenes, "summary": {"rra_15": mean},
                 "chance": {"rra_15": 40.0}}  # fmt: skip
    write_json(directory / "spec.json", {"id": directory.name, "spec": {"seed": seed}})
    write_json(directory / "provenance.json", {"git_commit": "abc", "git_dirty": False,
               "parameters": {"backbone": 12}, "device": "cpu"})  # fmt: skip
    write_json(directory / "evaluation.json", {"run_id": directory.name, "step": 2,
               "benchmarks": {"dynamic": benchmark}})  # fmt: skip
    lines = [{"step": s, "stage": "joint", "time": 1.0 * s, "metrics": {"train/loss": 1 / s}}
             for s in (1, 2)]  # fmt: skip
    write_text(directory / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    set_state(directory, "done")


def set_state(directory, state):
    moment = now()
    write_json(directory / "status.json", {
        "state": state, "reason": None, "attempts": 1, "started": moment, "updated": moment,
        "finished": moment, "stage": "evaluate", "step": 2, "total_steps": 2, "seconds": 2.5,
        "train_seconds": 2.0, "host": "elsewhere", "pid": 1,
    })  # fmt: skip


@pytest.fixture
def output_dir(tmp_path, migrated_store):
    folder = tmp_path / "there"
    asked = {"arm": "flow", "baseline": "plain", "benchmark": "dynamic", "metrics": ["rra_15"]}
    arm = {"formulation": "flow-factored", "unlabelled_clips": 8, "labelled_clips": 4}
    write_json(folder / "reports/tiny/plan.json", {
        "sweep": "tiny", "question": "Which?", "profile": "smoke", "baseline": "plain",
        "headline": asked, "scaling": None,
        "arms": [{"arm": name, **arm, "yardstick": False} for name in ARMS],
        "runs": [{"arm": name, "seed": seed, "run_id": run_id(name, seed), "depends_on": []}
                 for seed in SEEDS for name in ARMS],
    })  # fmt: skip
    for name in ARMS:
        for seed in SEEDS:
            write_run(folder / "runs" / run_id(name, seed), name, seed)
    shutil.copy(migrated_store, folder / "mlflow.db")
    return folder


def project(output_dir, report=True):
    if report:
        write_json(output_dir / "reports/tiny/results.json", {"arms": []})
    projection = SweepProjection(output_dir, "tiny")
    projection.sync()
    projection.sync_study()
    return default_uri(output_dir)


def test_the_same_table_from_mlflow(output_dir, tmp_path):
    uri = project(output_dir)
    here = tmp_path / "here"
    assert fetch(uri, "tiny", here) == 4
    original, fetched = (load_records(folder, "tiny") for folder in (output_dir, here))
    assert fetched.scores.equals(original.scores)
    assert fetched.runs.equals(original.runs)
    assert fetched.chance.equals(original.chance)
    curves = learning_curves(fetched).drop(columns="stage")  # MLflow has no stages
    assert curves.equals(learning_curves(original).drop(columns="stage"))


def test_a_half_finished_sweep(output_dir, tmp_path):
    unfinished = output_dir / "runs" / run_id("flow", 1)
    (unfinished / "evaluation.json").unlink()
    set_state(unfinished, "failed")
    shutil.rmtree(output_dir / "runs" / run_id("plain", 1))
    uri = project(output_dir)
    assert fetch(uri, "tiny", tmp_path / "here") == 3
    runs = load_records(tmp_path / "here", "tiny").runs.set_index("run_id")
    assert runs.loc[run_id("flow", 1), "state"] == "failed"
    assert runs.loc[run_id("plain", 1), "state"] == "pending"
    assert runs["finished"].sum() == 2


def test_what_cannot_be_fetched_is_said(output_dir, tmp_path):
    uri = project(output_dir, report=False)
    with pytest.raises(DataError, match=r"no plan\.json"):
        fetch(uri, "tiny", tmp_path / "here")
    assert not (tmp_path / "here").exists()
    with pytest.raises(DataError, match=r"no experiment 'other'.*\['tiny'\]"):
        fetch(uri, "other", tmp_path / "here")
    with pytest.raises(DataError, match="exists; choose a folder"):
        fetch(uri, "tiny", output_dir)


def test_a_run_without_its_scenes_is_refused(output_dir, tmp_path):
    """MLflow then has the means over scenes only, which cannot be paired."""
    uri = project(output_dir)
    kept = next((output_dir / "mlartifacts").rglob("evaluation.json"))
    kept.unlink()
    with pytest.raises(DataError, match=r"no evaluation\.json of it"):
        fetch(uri, "tiny", tmp_path / "here")


def test_a_run_that_is_there_twice_is_refused(output_dir, tmp_path):
    from mlflow import MlflowClient

    uri = project(output_dir)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    client.create_run(experiment, tags={"run_id": run_id("flow", 0)})
    with pytest.raises(DataError, match="in MLflow twice"):
        fetch(uri, "tiny", tmp_path / "here")


def test_the_command(output_dir, tmp_path, capsys):
    uri = project(output_dir)
    assert main(["sweep=tiny", f"to={tmp_path / 'here'}", f"tracking_uri={uri}"]) == 0
    assert capsys.readouterr().out == f"4 runs in {tmp_path / 'here'}\n"
    assert read_json(tmp_path / "here/reports/tiny/plan.json")["sweep"] == "tiny"
    assert main(["sweep=tiny"]) == 2
    assert "to=... is missing" in capsys.readouterr().err
    assert main(["swep=tiny"]) == 2


@pytest.mark.parametrize("script", ["sweeps/fetch.py", "sweeps/ask.py"])
def test_help_needs_no_heavy_imports(script):
    done = subprocess.run([sys.executable, "-X", "importtime", script, "--help"], cwd=REPOSITORY,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert "sweep=NAME" in done.stdout
    assert not {"mlflow", "torch", "hydra", "numpy"} & {
        line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()
    }
