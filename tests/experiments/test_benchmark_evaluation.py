"""evaluate.py evaluation=...: predictions exported once, scored from files, kept apart."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

import flow3r
from flow3r.data.datasets.registry import open_dataset
from flow3r.errors import ConfigError, DataError
from flow3r.evaluation.protocols.loading import protocol_frames, scene_truth
from flow3r.geometry.camera import unproject

SCENES = ("chess/seq-01", "chess/seq-02", "chess/seq-03")
SMALL = ("frames.step=1", "size.width=64", "size.multiple=8")


def _layouts():
    """The writers of tests/datasets (test folders are no packages)."""
    path = Path(__file__).parents[1] / "datasets" / "conftest.py"
    spec = importlib.util.spec_from_file_location("dataset_layouts_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module._layouts


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three sequences in the layout of 7-Scenes, all of them in the test split."""
    folder = tmp_path_factory.mktemp("7scenes")
    layouts = _layouts()
    layouts("seven_scenes").write(folder, layouts("clip").make_clip(4))
    for name in ("chess/seq-01", "chess/seq-03"):
        (folder / name).rmdir()
        shutil.copytree(folder / "chess/seq-02", folder / name)
    (folder / "chess/TestSplit.txt").write_text("sequence1\nsequence2\nsequence3\n")
    (folder / "chess/TrainSplit.txt").write_text("sequence1\n")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A model of smoke size with initial weights, under the released names."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    model = flow3r.create_model("pi3-smoke", "flow-factored")
    save_file(flow3r.export_released(model), path)
    return path


@pytest.fixture
def evaluate(tmp_path, data, capsys, monkeypatch):
    """evaluate(...) -> (what is printed, the record)."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # scripts change it when they are imported
    from experiments.evaluate import main

    def run(*arguments, output=tmp_path):
        words = [
            "evaluation=7scenes", f"path={data}", f"output_dir={output}", "device=cpu",
            "threads=1", *SMALL, *arguments,
        ]  # fmt: skip
        assert main(words) == 0
        printed = capsys.readouterr().out
        [line] = [line for line in printed.splitlines() if line.startswith("evaluation: ")]
        directory = Path(line.removeprefix("evaluation: "))
        assert json.loads((directory / "status.json").read_text())["state"] == "done"
        return printed, json.loads((directory / "evaluation.json").read_text())

    return run


@pytest.fixture
def perfect(data, tmp_path):
    """The truth, moved by a similarity, as somebody's files; poses as text."""
    import torch

    from experiments.protocols import load_protocol

    protocol = load_protocol("7scenes", {"frames.step": 1, "size.width": 64, "size.multiple": 8})
    dataset = open_dataset("7scenes", data)
    folder = tmp_path / "rival"
    turn = np.array([[0.0, -1, 0, 5], [1, 0, 0, -2], [0, 0, 1, 1], [0, 0, 0, 1]])
    for name in SCENES:
        scene = dataset.scene(name)
        truth = scene_truth(protocol, scene, protocol_frames(protocol, scene))
        depth, intrinsics = torch.from_numpy(truth.depth), torch.from_numpy(truth.intrinsics)
        poses = truth.world_from_camera.copy()
        poses[:, :3, 3] *= 3.0
        poses = turn @ poses
        (folder / name).mkdir(parents=True)
        points = 3.0 * unproject(depth.double(), intrinsics).numpy()
        points[truth.depth == 0] = 1.0
        np.savez(folder / name / "points.npz", local_points=points.astype(np.float32))
        lines = [_tum(k, pose) for k, pose in enumerate(poses)]
        (folder / name / "poses.txt").write_text("# comment\n" + "\n".join(lines) + "\n")
    return folder


def _tum(time, pose):
    from scipy.spatial.transform import Rotation

    values = [time, *pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
    return " ".join(f"{value:.12g}" for value in values)


def test_a_perfect_rival_scores_perfectly(evaluate, perfect):
    _, record = evaluate(f"predictions={perfect}")
    assert [scene["scene"] for scene in record["scenes"]] == list(SCENES)
    summary = record["summary"]
    assert summary["rra_5"] == summary["rta_5"] == summary["auc_5"] == 100.0
    assert summary["f_score_5"] == summary["f_score_5cm"] == 100.0
    assert summary["pointmap_mse"] < 1e-10
    assert summary["accuracy"] < 1e-5
    assert record["precision"] == "none"
    assert record["changed"] == {"frames.step": 1, "size.width": 64, "size.multiple": 8}


def test_poses_alone_are_scored_on_poses_alone(evaluate, perfect):
    for name in SCENES:
        (perfect / name / "points.npz").unlink()
    _, record = evaluate(f"predictions={perfect}")
    assert record["summary"]["auc_30"] == 100.0
    assert "pointmap_mse" not in record["summary"]


def test_a_missing_sequence_is_refused(evaluate, perfect):
    shutil.rmtree(perfect / "chess/seq-02")
    with pytest.raises(DataError, match="1 of 3 sequences of 7scenes are missing, the first is"):
        evaluate(f"predictions={perfect}")


def test_a_model_is_run_once_and_scored_again_from_its_files(
    evaluate, weights, tmp_path, monkeypatch
):
    printed, first = evaluate(f"weights={weights}")
    assert "memory for forward pass over 4 frames of 64 x 48 in float32: about" in printed
    assert "predictions: 3 of 3 sequences to do" in printed
    assert 0 <= first["summary"]["auc_30"] <= 100
    assert first["seconds"]["predict_per_frame"] > 0
    [folder] = (tmp_path / "predictions").iterdir()
    for name in SCENES:
        assert {p.name for p in (folder / name).iterdir()} == {"points.npz", "poses.txt"}

    from experiments.work import evaluation

    monkeypatch.setattr(evaluation, "load_model", None)  # no model is needed
    printed, second = evaluate(f"weights={weights}")
    assert "predictions: all 3 sequences are in" in printed
    assert second["scenes"] == first["scenes"]


def test_an_export_is_a_prediction_like_any_other(evaluate, weights, tmp_path):
    _, own = evaluate(f"weights={weights}")
    [folder] = (tmp_path / "predictions").iterdir()
    shutil.copytree(folder, tmp_path / "copy")
    _, other = evaluate(f"predictions={tmp_path / 'copy'}")
    assert other["scenes"] == own["scenes"]
    assert other["id"] != own["id"]


def test_a_killed_export_continues(evaluate, weights, monkeypatch):
    from experiments.evaluation import export

    def killed(model, images):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(images.shape)
        return predict(model, images)

    predict, seen = export.predict, []
    monkeypatch.setattr(export, "predict", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(f"weights={weights}")
    monkeypatch.setattr(export, "predict", lambda *given: seen.append(0) or predict(*given))
    printed, _ = evaluate(f"weights={weights}")
    assert "predictions: 1 of 3 sequences to do" in printed
    assert seen == [(4, 48, 64, 3), (4, 48, 64, 3), 0]


def test_another_input_is_kept_apart_and_another_score_is_not(evaluate, weights, tmp_path):
    _, first = evaluate(f"weights={weights}")
    _, scored = evaluate(f"weights={weights}", "points.max_depth=2.5")
    assert scored["id"] != first["id"]
    assert scored["predictions"] == first["predictions"]
    _, shown = evaluate(f"weights={weights}", "size.width=72")
    assert shown["predictions"] != first["predictions"]
    assert len(list((tmp_path / "predictions").iterdir())) == 2
    assert len(list((tmp_path / "evaluations").iterdir())) == 3


def test_predictions_of_another_model_in_the_folder_are_refused(evaluate, weights, tmp_path):
    from flow3r.evaluation.prediction_files import read_prediction, write_prediction

    evaluate(f"weights={weights}")
    [folder] = (tmp_path / "predictions").iterdir()
    names = tuple(f"frame-{15 * k:06d}" for k in range(4))
    prediction = read_prediction(folder, SCENES[1], names)
    write_prediction(folder, prediction, range(4), {"model": "other", "input": "", "precision": ""})
    with pytest.raises(DataError, match=r"seq-02: the prediction there belongs to another model"):
        evaluate(f"weights={weights}")


def test_patches_that_do_not_fit_change_the_size_and_say_so(evaluate, weights):
    _, record = evaluate(f"weights={weights}", "size.multiple=14")
    assert record["changed"]["size.multiple"] == 8


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ["memory=0.1"],
            ConfigError,
            r"memory=0\.1 GiB is not enough: scoring 4 frames of 64 x 48",
        ),
        (["memory=much"], ConfigError, "memory='much' must be a number of GiB"),
        (["evaluation=8scenes"], ConfigError, "evaluation='8scenes' is not valid; choose one of"),
        (["frames.stride=2"], ConfigError, r"frames\.stride: unknown setting; valid settings are"),
        (["path=/nowhere"], DataError, "/nowhere: not a folder; dataset 7scenes is read from"),
        (["weights=absent.pt"], DataError, r"weights='absent\.pt': no such file or folder"),
        (["run=outputs"], ConfigError, "needs one of weights=FILE, run=<run directory> and"),
        (["threads=none"], ConfigError, "threads='none' must be a whole number"),
        (["frames.step=1000", "frames.minimum=50"], DataError, "none of the 3 scenes in split"),
    ],
)
def test_mistakes_are_named(arguments, error, message, evaluate, weights):
    with pytest.raises(error, match=message):
        evaluate(f"weights={weights}", *arguments)


def test_a_forward_pass_that_is_too_large_is_refused():
    from experiments.evaluation.memory import prediction_needs, require_memory
    from experiments.evaluation.sequences import LargestInput

    model = flow3r.create_model("pi3-smoke", "flow-factored")
    short, long = (
        prediction_needs(model, LargestInput(n, n, 32, 32, (32, 32)), "float32") for n in (2, 200)
    )
    require_memory(short, short.host)
    with pytest.raises(
        ConfigError, match=r"not enough: forward pass over 200 frames of 32 x 32 in"
    ):
        require_memory(long, short.host)
    require_memory(long, None)


@pytest.mark.slow
def test_the_number_of_processes_changes_no_score(evaluate, weights, tmp_path, run_script, data):
    _, alone = evaluate(f"weights={weights}")
    result = run_script(
        "experiments/evaluate.py", "evaluation=7scenes", f"path={data}", f"weights={weights}",
        f"output_dir={tmp_path}", "device=cpu", "threads=2", *SMALL,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "scoring 3 sequences in 2 of 2 processes" in result.stdout
    path = tmp_path / "evaluations" / alone["id"] / "evaluation.json"
    assert json.loads(path.read_text())["scenes"] == alone["scenes"]
