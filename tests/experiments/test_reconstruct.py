"""The command that reconstructs: its files, its messages, its choices."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

import flow3r
from experiments.compose import compose
from experiments.folders import new_folder
from experiments.progress import plain_lines, showing_progress
from experiments.reconstruction import Options, run_reconstruction
from experiments.spec import parse_spec
from experiments.weights_source import find_weights
from flow3r.errors import ConfigError, DataError
from flow3r.files import write_json
from flow3r.formulations.assembled import build_model
from flow3r.inference.size import SizeRule
from flow3r.training.checkpoint import save_weights


def quiet(*_) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_overrides) -> Path:
    """A run directory with random weights: nothing was trained."""
    spec = compose(small_overrides).spec
    parsed = parse_spec(spec)
    directory = tmp_path_factory.mktemp("runs") / "abcdef012345"
    content = {"schema": 1, "kind": "run", "id": directory.name, "spec": spec, "runtime": {}}
    write_json(directory / "spec.json", content)
    model = build_model(parsed.model, parsed.formulation, 0)
    save_weights(model, directory / "checkpoint" / "weights.pt")
    return directory


@pytest.fixture
def photos(tmp_path) -> Path:
    """Five noisy pictures, 4:3."""
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(5):
        picture = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


def test_everything_is_written_and_opens(run, photos, tmp_path):
    options = Options(photos, run, tmp_path / "out", frames=3, shape="input")
    done = run_reconstruction(options, quiet)
    assert done.folder == tmp_path / "out" / "reconstructions" / "photos"
    written = {path.name for path in done.folder.iterdir()}
    assert written == set(done.files) == {
        "points.ply", "scene.glb", "predictions.npz", "preview.png", "summary.json"
    }  # fmt: skip
    result = done.result
    assert 0 < len(result.points) <= result.keep.size
    cloud = trimesh.load(done.folder / "points.ply")
    assert np.array_equal(cloud.vertices.astype(np.float32), result.points)
    scene = trimesh.load(done.folder / "scene.glb")
    assert {"points", "camera 000", "camera 002", "camera path"} <= set(scene.geometry)
    with np.load(done.folder / "predictions.npz") as file:
        assert file["depth"].shape == (3, *result.size)
        assert file["flow_px"].shape == (2, *result.size, 2)
    with Image.open(done.folder / "preview.png") as picture:
        assert picture.width > 600
        assert len(picture.getcolors(256)) > 50


def test_the_summary_says_what_was_done_with_what(run, photos, tmp_path):
    done = run_reconstruction(Options(photos, run, tmp_path, every=2, max_pixels=800), quiet)
    summary = json.loads((done.folder / "summary.json").read_text())
    assert summary["weights"]["run_id"] == "abcdef012345"
    assert summary["weights"]["formulation"] == "flow-factored"
    assert summary["input"]["numbers"] == [0, 2, 4]
    assert summary["input"]["source_size"] == [60, 80]
    assert summary["settings"]["max_pixels"] == 800
    assert summary["settings"]["fit"] == "crop"
    assert summary["settings"]["precision"] == "float32"
    assert summary["settings"]["confidence"] == 0.0
    assert summary["result"]["points"] == len(done.result.points)
    assert summary["result"]["camera_path_length"] == pytest.approx(done.result.camera_path_length)
    assert summary["files"]["points.ply"] == (done.folder / "points.ply").stat().st_size
    assert set(summary["seconds"]) == {"weights", "frames", "model", "files"}
    assert "git_commit" in summary["provenance"]


def test_a_second_reconstruction_gets_a_folder_of_its_own(run, photos, tmp_path):
    first = new_folder(tmp_path / "out", photos)
    (first / "mine.txt").write_text("kept")
    assert [new_folder(tmp_path / "out", photos).name for _ in range(2)] == ["photos-2", "photos-3"]
    assert [path.name for path in first.iterdir()] == ["mine.txt"]
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match="choose another output_dir"):
        new_folder(blocked, photos)


def test_an_empty_cloud_is_said(run, photos, tmp_path):
    options = Options(photos, run, tmp_path, frames=2, confidence=0.999999)
    done = run_reconstruction(options, quiet)
    assert len(done.result.points) == 0
    assert "no pixel is more confident than confidence=0.999999" in done.text()
    assert (done.folder / "preview.png").exists()


def test_one_picture_is_enough(run, photos, tmp_path):
    done = run_reconstruction(Options(photos / "3.png", run, tmp_path), quiet)
    assert done.folder.name == "3"
    assert done.result.flow_px is None
    assert "camera path" not in trimesh.load(done.folder / "scene.glb").geometry
    assert json.loads((done.folder / "summary.json").read_text())["result"]["flow"] is False


def test_weights_bring_their_sizes(run, tmp_path):
    for path in (run, run / "checkpoint", run / "checkpoint" / "weights.pt"):
        source = find_weights(path)
        assert source.confidence == 0.0
        assert source.size_rule(8, None, None, None) == SizeRule(1024, 8, "crop", (32, 32))
        assert source.size_rule(8, 99, "stretch", "input") == SizeRule(99, 8, "stretch")
        assert "flow-factored, seed 0" in source.title
    file = tmp_path / "released.safetensors"
    file.write_bytes(b"weights")
    source = find_weights(file)
    assert source.confidence == 0.1
    assert source.size_rule(14, None, None, None) == SizeRule()
    with pytest.raises(ConfigError, match="shape='trained' needs weights of a run"):
        source.size_rule(14, None, None, "trained")
    assert source.title == "released.safetensors"
    assert len(source.record()["sha256"]) == 64
    with pytest.raises(DataError, match="no such file or folder"):
        find_weights(tmp_path / "nowhere")
    with pytest.raises(DataError, match="not a run directory"):
        find_weights(tmp_path)


def test_weights_in_a_released_layout(photos, tmp_path):
    """Exported to the released names and read back as a stranger's file."""
    from safetensors.torch import save_file

    model = flow3r.create_model("pi3-smoke", "flow-factored", seed=3, identity_ramp=False)
    file = tmp_path / "released.safetensors"
    save_file({k: v.contiguous() for k, v in flow3r.export_released(model).items()}, file)
    options = Options(photos, file, tmp_path, frames=2, max_pixels=1024, confidence=0.0)
    done = run_reconstruction(options, quiet)
    patch = model.model.config.patch_size
    assert all(side % patch == 0 for side in done.result.size)
    images = torch.from_numpy(done.result.images).permute(0, 3, 1, 2)[None].float() / 255
    with torch.inference_mode():
        depth = model.eval()(images).local_points[0, ..., 2]
    assert done.result.depth == pytest.approx(depth.numpy(), rel=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "input=PATH is required"),
        ({"input": "x"}, "weights=PATH is required"),
        ({"frames": "many"}, "frames='many' must be a whole number"),
        ({"confidence": "high"}, "confidence='high' must be a number"),
        ({"shape": "round"}, r"shape='round' is not valid; choose one of \['trained', 'input'\]"),
        ({"formats": "ply,obj"}, r"formats='obj' is not valid; choose one of \['ply', 'glb'"),
    ],
)
def test_arguments_are_checked(given, message, photos):
    if given and "input" not in given:
        given = {"input": str(photos), "weights": "w", **given}
    with pytest.raises(ConfigError, match=message):
        Options.parse(given)


def test_arguments_become_options(photos):
    texts = {
        "input": str(photos),
        "weights": "w",
        "every": "3",
        "edge": "0.1",
        "formats": "[glb,rrd]",
    }
    options = Options.parse(texts)
    assert (options.every, options.edge, options.formats) == (3, 0.1, ("glb", "rrd"))
    assert options.weights == Path("w")


def test_plain_progress_is_a_line_at_the_beginning_and_the_end():
    output = io.StringIO()
    report = plain_lines(output)
    for done in range(4):
        report("frames", done, 3)
    report("frames", 3, 3)
    lines = output.getvalue().splitlines()
    assert lines[0] == "frames ..."
    assert lines[1].startswith("frames: 3 done in ")
    assert len(lines) == 2


def test_bars_take_an_unknown_total(capsys):
    with showing_progress(live=True) as report:
        report("frames", 1, 0)
        report("frames", 2, 2)
    assert "frames" in capsys.readouterr().err


def test_help_needs_nothing_heavy():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['experiments/reconstruct.py', '--help']\n"
        "try:\n"
        "    runpy.run_path('experiments/reconstruct.py', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'torch', 'numpy', 'rich', 'trimesh'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    named = {line.split("=")[0].strip() for line in result.stdout.splitlines()}
    assert set(Options.__dataclass_fields__) <= named


def test_mistakes_are_one_message_and_code_2(run_script, run, photos, tmp_path):
    for arguments, message in [
        (["input=/nowhere", f"weights={run}"], "input='/nowhere': no such file or folder"),
        ([f"input={photos}", f"weights={run}", "size=3"], "unknown arguments ['size=3']"),
    ]:
        result = run_script("experiments/reconstruct.py", *arguments, f"output_dir={tmp_path}")
        assert result.returncode == 2
        assert message in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "reconstructions").exists()


@pytest.mark.slow
def test_a_generated_clip_through_the_command(trained, run_script, tmp_path):
    """A video of a generated scene, by a run that was trained for a moment."""
    import av

    from flow3r.data.world import generate_clip, world_config

    config = world_config("target", frames=6, height=48, width=64, dynamic=False)
    images = generate_clip(config, 5, 0).images.permute(0, 2, 3, 1).numpy()
    video = tmp_path / "clip.mkv"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "bgr0"
        for image in (255 * images.clip(0, 1)).round().astype(np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    [directory] = (trained / "runs").iterdir()
    result = run_script(
        "experiments/reconstruct.py",
        f"input={video}",
        f"weights={directory}",
        f"output_dir={tmp_path / 'out'}",
        "frames=4",
    )
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "out" / "reconstructions" / "clip"
    assert str(folder) in result.stdout
    assert "frames: 4 done in" in result.stderr
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["input"]["numbers"] == [0, 2, 3, 5]
    assert summary["weights"]["run_id"] == directory.name
    assert trimesh.load(folder / "scene.glb").geometry["points"].vertices.shape[1] == 3
