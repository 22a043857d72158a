"""The scripts as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from experiments.compose import compose
from experiments.execute import INTERRUPTED
from experiments.identity import run_id
from experiments.rundir import read_metrics
from flow3r.data.store import ClipStore
from flow3r.evaluation.names import METRICS

FORMULATIONS = ["3d-sup", "flow-projective", "flow-tracking", "flow-factored"]


def only_run(output):
    [path] = list((output / "runs").iterdir())
    return path


def test_a_run_leaves_a_complete_record(trained):
    run = only_run(trained)
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "done"
    assert status["step"] == status["total_steps"] == 10
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert set(evaluation["benchmarks"]) == {"static", "dynamic"}
    for name, record in evaluation["benchmarks"].items():
        assert [s["scene"] for s in record["scenes"]] == [f"{name}/000000", f"{name}/000001"]
        assert {"rra_15", "rta_30", "auc_30", "pointmap_mse", "flow_epe"} <= set(record["summary"])
        assert set(record["summary"]) <= set(METRICS)
        assert set(record["chance"]) >= {"rra_15", "rta_30", "pointmap_mse"}
    provenance = json.loads((run / "provenance.json").read_text())
    assert set(provenance["data_fingerprints"]) >= {"source-0", "labelled-0", "unlabelled-0"}
    assert provenance["peak_memory_bytes"] > 0
    assert (run / "uncommitted.diff").exists() == provenance["git_dirty"]
    steps = [r["step"] for r in read_metrics(run)]
    assert steps == sorted(steps)
    assert any("train/flow" in r["metrics"] for r in read_metrics(run))
    assert any("validation/dynamic/rra_15" in r["metrics"] for r in read_metrics(run))


def test_a_finished_run_is_skipped(trained, run_script, small_overrides):
    run = only_run(trained)
    before = (run / "status.json").stat().st_mtime_ns
    result = run_script("experiments/train.py", f"spec={run / 'spec.json'}")
    assert result.returncode == 0, result.stderr
    assert (run / "status.json").stat().st_mtime_ns == before
    identity = run_id(compose(small_overrides).spec)
    assert identity == run.name


def test_scoring_again_from_predictions_and_from_weights_gives_the_same(trained, run_script):
    run = only_run(trained)
    before = json.loads((run / "evaluation.json").read_text())
    result = run_script("experiments/evaluate.py", f"run={run}")
    assert result.returncode == 0, result.stderr
    assert "rra_15" in result.stdout
    assert json.loads((run / "evaluation.json").read_text()) == before
    weights = run / "checkpoint" / "weights.pt"
    result = run_script("experiments/evaluate.py", f"run={weights}", "predict=true")
    assert result.returncode == 0, result.stderr
    assert json.loads((run / "evaluation.json").read_text()) == before


def test_test_scenes_share_nothing_with_training(trained):
    stores = [ClipStore.open(p / "clips") for p in (trained / "stages").glob("dataset-*")]
    seeds = [s.provenance["dataset"]["seed"] for s in stores]
    assert len(set(seeds)) == len(seeds) == 8
    by_domain = {}
    for store in stores:
        domain = store.provenance["dataset"]["world"]["domain"]
        images = store.unlabelled(np.arange(len(store))).images
        by_domain.setdefault(domain, []).extend(i.numpy().tobytes() for i in images)
    everything = [image for images in by_domain.values() for image in images]
    assert len(set(everything)) == len(everything)


def test_training_code_needs_no_hydra_and_no_tracking(trained):
    """`train.py spec=...` loads nothing beyond torch, einops, numpy and scipy."""
    spec = only_run(trained) / "spec.json"
    code = (
        "import runpy, sys\n"
        "for name in ('hydra', 'omegaconf', 'mlflow', 'optuna', 'pandas', 'matplotlib', 'yaml',"
        " 'seaborn', 'cv2', 'av'):\n"
        "    sys.modules[name] = None\n"
        f"sys.argv = ['experiments/train.py', 'spec={spec}']\n"
        "runpy.run_path('experiments/train.py', run_name='__main__')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "formulation"),
    [*(("float32", name) for name in FORMULATIONS), ("bfloat16", "flow-factored")],
)
def test_every_formulation_trains(formulation, precision, run_script, small_overrides, output):
    result = run_script(
        "experiments/train.py",
        *small_overrides,
        f"formulation={formulation}",
        f"training.precision={precision}",
        f"output_dir={output}",
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "override",
    [
        "head_options.flow-projective.intrinsics=given",
        "teacher=noisy",
        "teacher=dis",
        "model=pi3-small size.pixels=28 initialisation.kind=random initialisation.pretrain=null "
        "steps.head=1 steps.joint=2 steps.validation_every=2",
        "model=pi3-study size.pixels=48",
        "batch.accumulate=3",
    ],
)
def test_options_train(override, run_script, small_overrides, output):
    formulation = "flow-projective" if "options" in override else "flow-factored"
    result = run_script(
        "experiments/train.py",
        *small_overrides,
        f"formulation={formulation}",
        *override.split(),
        f"output_dir={output}",
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_a_paused_and_continued_run_equals_an_undisturbed_one(
    trained, run_script, small_overrides, output
):
    words = (*small_overrides, f"output_dir={output}")
    for pause_at in (3, 7, 5):  # the last one lies behind it: nothing is trained
        result = run_script("experiments/train.py", *words, f"runtime.pause_at={pause_at}")
        assert result.returncode == INTERRUPTED, result.stderr
        status = json.loads((only_run(output) / "status.json").read_text())
        reached = max(pause_at, status["step"] if pause_at == 5 else 0)
        assert (status["state"], status["step"]) == ("interrupted", reached)
        assert status["reason"] == f"paused at step {reached}"
    assert reached == 7
    assert [end["reason"] for end in status["history"]] == ["paused at step 3", "paused at step 7"]
    assert run_script("experiments/train.py", *words).returncode == 0
    assert_same_run(only_run(trained), only_run(output))


@pytest.mark.slow
def test_killed_and_started_again_equals_undisturbed(trained, small_overrides, output):
    """SIGTERM ends with a checkpoint and code 75; SIGKILL loses at most the last steps."""
    command = [
        sys.executable,
        "experiments/train.py",
        *small_overrides,
        "runtime.checkpoint_seconds=0",
        f"output_dir={output}",
    ]
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=dict(os.environ))
        _wait_for_step(output, 3 if number == signal.SIGTERM else 6, process)
        process.send_signal(number)
        process.wait(timeout=60)
        assert process.returncode in (INTERRUPTED, -signal.SIGKILL, 0)
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    assert_same_run(only_run(trained), only_run(output))


def assert_same_run(first, second):
    """Evaluation, weights and curves, bit for bit."""
    assert first.name == second.name
    evaluations = [json.loads((p / "evaluation.json").read_text()) for p in (first, second)]
    assert evaluations[0] == evaluations[1]
    weights = [
        torch.load(p / "checkpoint" / "weights.pt", weights_only=True) for p in (first, second)
    ]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    logs = [[(r["step"], r["metrics"]) for r in read_metrics(p)] for p in (first, second)]
    assert logs[0] == logs[1]


def _wait_for_step(output, step, process):
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        for path in (output / "runs").glob("*/checkpoint/last.pt"):
            if torch.load(path, weights_only=True)["step"] >= step:
                return
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("experiments/train.py", ["formulation=nerf"], "choose one of ['3d-sup'"),
        ("experiments/train.py", ["profile=smoke", "data.unlabelled_clips=-1"], "not be negative"),
        ("experiments/train.py", ["--fast"], "write arguments as name=value"),
        ("experiments/train.py", ["spec=/nowhere/spec.json"], "spec.json is missing"),
        ("experiments/train.py", ["profile=smoke", "output_dir=/proc/x"], "another output_dir"),
        ("experiments/evaluate.py", ["run=/nowhere"], "neither a run directory"),
        ("experiments/evaluate.py", [], "run=<run directory or checkpoint> is required"),
        ("experiments/stage.py", [], "expected spec="),
    ],
)
def test_mistakes_are_one_message_and_code_2(script, arguments, message, run_script):
    result = run_script(script, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("script", ["train", "evaluate", "stage"])
def test_help_is_immediate(script):
    """No heavy import on the way to --help."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['experiments/{script}.py', '--help']\n"
        "try:\n"
        f"    runpy.run_path('experiments/{script}.py', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'torch', 'hydra', 'numpy'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"experiments/{script}.py" in result.stdout
