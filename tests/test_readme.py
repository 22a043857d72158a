"""What the README says is true: its commands, paths, names and examples."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

import flow3r
import flow3r.formulations as formulations
from experiments.compose import CONFIGS, choices, load_sweep
from flow3r.evaluation.names import METRICS
from flow3r.formulations import registry
from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.config import DecoderConfig, EncoderConfig, Pi3Config, TaskDecoderConfig

pytestmark = pytest.mark.xdist_group("readme")

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"`([\w/.-]+)`:\n\n```(?:python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OF_THE_USERS_FILES = re.compile(r"spec=|data\.videos\.manifest=|data\.recorded\.")
"""What composes only with files that the command names; tests of their own run such commands."""
OWN_NAMES = {
    "experiments/prepare.py": {"videos", "output_dir"},
    "experiments/label.py": {"manifest", "size", "output_dir", "workers"},
    "experiments/inspect.py": {"dataset", "path"},
    "experiments/evaluate.py": {
        *("run", "predict", "device", "weights", "profile", "size.pixels", "evaluation", "path"),
        *("predictions", "output_dir", "memory", "frames.step", "size.width", "split"),
    },
    "analysis/benchmarks.py": {"output_dir", "to"},
    "experiments/draw.py": {"run"},
    "experiments/contact_sheet.py": {"output", "width", "seed"},
    "experiments/reconstruct.py": {"input", "weights", "output_dir", "frames", "formats"},
    "experiments/teacher_quality.py": {"teacher", "sizes", "motions", "gaps", "clips"},
    "analysis/report.py": {"sweep", "output_dir"},
    "analysis/trace.py": {"sweep", "arm", "benchmark", "metric", "baseline", "question"},
    "analysis/example.py": {"to"},
    "analysis/calibration.py": {"records"},
    "analysis/tuning.py": {"output_dir", "to"},
    "sweeps/efficiency.py": {"output_dir", "sweep", "format"},
    "sweeps/track.py": {"output_dir", "sweep", "tracking_uri"},
}


def shell_blocks() -> list[str]:
    return [body for language, body in FENCE.findall(README) if language == "sh"]


def commands() -> list[list[str]]:
    lines = [line for block in shell_blocks() for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [command for command in words if command]


def scripts(*names: str) -> list[list[str]]:
    """The arguments of every command that runs one of these scripts, the script first."""
    return [c[1:] for c in commands() if c[0] == "python" and (not names or c[1] in names)]


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(r"^#+ ", README.split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]


def table(heading: str) -> list[list[str]]:
    """The cells of the first table of a section, without its head."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_shell_blocks_are_well_formed():
    assert len(shell_blocks()) >= 8
    for block in shell_blocks():
        check = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True)
        assert check.returncode == 0, f"{block}\n{check.stderr}"
    assert {c[0] for c in commands()} == {"make", "python", "mlflow"}


def test_make_targets_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {c[1] for c in commands() if c[0] == "make"} | set(
        re.findall(r"`make ([\w-]+)", README)
    )
    assert {"study", "test"} <= named <= targets


def test_scripts_and_their_arguments_exist():
    for script, *arguments in scripts():
        assert (ROOT / script).is_file(), script
        if script in OWN_NAMES:
            given = {a.partition("=")[0] for a in arguments if "=" in a}
            assert given <= OWN_NAMES[script], (script, given)


def test_links_images_and_paths_exist():
    links = re.findall(r"\]\(([^)]+)\)", README)
    for link in links:
        if link.startswith("#"):
            assert f"# {link[1:].replace('-', ' ')}\n" in README.lower(), link
        else:
            assert link.startswith("https://") or (ROOT / link).exists(), link
    examples = {path for path, _ in EXAMPLE.findall(README)}
    tops = ("flow3r/", "experiments/", "sweeps/", "analysis/", "tests/", "docs/")
    for name in names_in(README):
        if name.startswith(tops) and "*" not in name and "NAME" not in name:
            assert name in examples or (ROOT / name.split()[0]).exists(), name


def test_no_path_of_a_particular_machine():
    assert not re.search(r"(?<![\w.])/(work|tmp|home|root)/|\.\./", README)


def test_every_package_is_in_the_layout():
    named = {name for row in table("Layout") for name in names_in(row[0])}
    rooms = {f"flow3r/{p.parent.name}" for p in (ROOT / "flow3r").glob("*/__init__.py")}
    assert rooms | {"experiments", "sweeps", "analysis", "notebooks", "tests"} == named


def test_the_arms_are_those_of_the_sweep():
    named = [names_in(row[0])[0] for row in table("What is compared")]
    arms = load_sweep("formulations", "laptop")["arms"]
    beside = {n for n, a in load_sweep("scaling", "laptop")["arms"].items() if a.get("yardstick")}
    assert set(named) == arms.keys() | beside | {"chance"}


def test_the_metrics_are_the_canonical_ones():
    assert [n for row in table("What is measured") for n in names_in(row[0])] == list(METRICS)


def test_the_profiles_have_the_sizes_told():
    rows = table("Profiles")
    assert {names_in(row[0])[0] for row in rows} == set(choices("profile"))
    for name, pixels, frames, model, labelled, unlabelled, _ in rows:
        config = yaml.safe_load((CONFIGS / f"profile/{name.strip('`')}.yaml").read_text())
        size = config["size"]
        told = [pixels.removesuffix(" px"), frames, labelled, unlabelled]
        keys = ["pixels", "frames", "labelled_clips", "unlabelled_clips"]
        assert told == [str(size[key]) for key in keys], name
        assert {"/model": model.strip("`")} in config["defaults"], name


def test_the_seeds_and_labels_told_are_those_of_the_laptop_profile():
    for target, sweep in (("study", "formulations"), ("scaling", "scaling")):
        row = re.search(rf"^\| `make {target}` \|.*$", README, re.MULTILINE).group()
        assert f"{len(load_sweep(sweep, 'laptop')['seeds'])} seeds" in row
    assert re.search(r'"(\d+) labelled clips"', README).group(1) == (
        next(row[4] for row in table("Profiles") if "laptop" in row[0])
    )


def test_the_result_and_the_costs_have_their_places():
    for place in ("results", "cost:study", "cost:scaling", "cost:test"):
        begin, end = (
            (f"<!-- {place}:begin -->", f"<!-- {place}:end -->")
            if place == "results"
            else (f"<!-- {place} -->", f"<!-- /{place} -->")
        )
        assert README.count(begin) == README.count(end) == 1
        assert README.index(begin) < README.index(end)


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the code with the README's example files in their places, and a video folder."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("flow3r", "experiments", "sweeps", "analysis"):
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for path, content in EXAMPLE.findall(README):
        assert not (ROOT / path).exists(), f"{path} is an example; it must not exist"
        (copy / path).write_text(content, encoding="utf-8")
    (copy / "videos").mkdir()
    (copy / "videos" / "a.mp4").write_bytes(b"looked at, not decoded, while composing")
    model = flow3r.create_model("pi3-smoke", formulation="3d-sup")
    save_file(flow3r.export_released(model), copy / "flow3r.safetensors")
    return copy


def run(copy: Path, *words: str) -> str:
    """Run a command of the README in the copy; returns what it printed."""
    words = (sys.executable, *words)
    result = subprocess.run(words, cwd=copy, capture_output=True, text=True, timeout=500)
    assert result.returncode == 0, f"{words}\n{result.stdout}\n{result.stderr}"
    return result.stdout


COMPOSE = """
import json, sys
sys.path.insert(0, "")
from experiments.compose import compose, load_sweep
from experiments.protocols import load_protocol
from sweeps.benchmarks.plan import read_settings
from sweeps.options import parse
from sweeps.tuning.settings import load_tuning
for script, *words in json.loads(sys.argv[1]):
    if script == "experiments/train.py":
        compose(words)
    else:
        options = parse(words)
        if options.sweep == "benchmarks":
            for name in read_settings(options.overrides).benchmarks:
                load_protocol(name)
            continue
        if options.sweep == "tuning":
            load_tuning(options.profile)
            continue
        sweep = load_sweep(options.sweep, options.profile)
        arm = sweep["arms"][sweep["headline"]["arm"]]["overrides"]
        compose([f"profile={options.profile}", *options.overrides, *arm])
import flow3r; print(flow3r.__path__[0])
"""


def test_every_command_composes(extended):
    """With the examples in place: each override, sweep, profile and formulation is a real one."""
    asked = scripts("experiments/train.py", "sweeps/run.py")
    assert len(asked) >= 10
    asked = [
        [w.replace("/path/to/videos", "videos") for w in c]
        for c in asked
        if not any(OF_THE_USERS_FILES.match(word) for word in c)
    ]
    printed = run(extended, "-c", COMPOSE, json.dumps(asked))
    assert printed.strip() == str(extended / "flow3r")


@pytest.fixture
def example_formulation(extended, monkeypatch):
    """The README's formulation, found by the registry as if it lay in the package."""
    folder = extended / "only"
    folder.mkdir(exist_ok=True)
    shutil.copy(extended / "flow3r/formulations/linear.py", folder)
    monkeypatch.setattr(formulations, "__path__", [*formulations.__path__, str(folder)])
    yield yaml.safe_load(
        (extended / "experiments/configs/formulation/flow-linear.yaml").read_text()
    )
    registry._REGISTRY.pop("flow-linear", None)
    sys.modules.pop("flow3r.formulations.linear", None)
    formulations.__dict__.pop("linear", None)


MODEL = Pi3Config(
    patch_size=8,
    encoder=EncoderConfig(width=32, depth=1, heads=2, grid=4, layer_scale=None),
    decoder=DecoderConfig(width=32, depth=2, heads=2, layer_scale=None),
    tasks=TaskDecoderConfig(width=32, depth=2, heads=2, camera_width=32, levels=(0, 1)),
)


def test_the_example_formulation_predicts_flow_with_gradients(example_formulation):
    config = FormulationConfig(**example_formulation["formulation"])
    model = build_model(MODEL, config, seed=0)
    images, pairs = torch.rand(2, 3, 3, 24, 32), torch.tensor([[0, 1], [2, 0]])
    flow = model(images, pairs).flow
    assert flow.target_px.shape == (2, 2, 24, 32, 2)
    assert flow.valid.all()
    flow.target_px.square().mean().backward()
    heads = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert heads == {"formulation", "model"}
    # Zero weights move nothing: every pixel stays where it is.
    for parameter in model.formulation.parameters():
        parameter.data.zero_()
    x = model(images, pairs).flow.target_px[0, 0, :, :, 0]
    assert torch.equal(x, torch.arange(32.0).expand(24, 32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(images, pairs).flow.target_px.dtype == torch.float32


@pytest.mark.slow
def test_the_commands_that_take_seconds_run(extended):
    """The block that tries everything, as it stands, then the examples of how to extend it.

    The files of a run are those that the README's tree shows.
    """
    block = next(b for b in shell_blocks() if "seeds=[0]" in b)
    run_id = "RUN_ID"
    for line in block.splitlines():
        words = [w.replace("RUN_ID", run_id) for w in shlex.split(line)[1:]]
        printed = run(extended, *words)
        if "experiments/train.py" in words:
            run_id = re.search(r"run directory: \S+/runs/(\w+)", printed).group(1)
    output = extended / "outputs" / "try"
    assert (output / "reports/formulations/report.md").exists()
    assert (output / "mlflow.db").exists()
    assert {p.name for p in (output / "runs" / run_id / "figures").iterdir()} == {
        "static.png",
        "dynamic.png",
    }
    assert json.loads((output / "runs" / run_id / "status.json").read_text())["attempts"] == 1
    tree = section("Where files go")
    shown = [p.name for p in (output / "runs" / run_id).iterdir() if not p.name.startswith(".")]
    assert [name for name in shown if name not in tree] == []
    for words in scripts("experiments/train.py"):
        if "formulation=flow-linear" in words:
            run(extended, *words)


@pytest.mark.slow
def test_the_example_sweep_is_planned(extended):
    [words] = [c for c in scripts("sweeps/run.py") if "sweep=labels" in c]
    assert "10 runs, 0 done" in run(extended, *words)
