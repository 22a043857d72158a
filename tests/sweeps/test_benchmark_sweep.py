"""sweep=benchmarks: models on benchmarks, through the front door."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import save_file

import flow3r
from flow3r.errors import ConfigError
from sweeps.benchmarks.plan import plan_benchmarks, plan_jobs, read_settings

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = ["frames.step=1", "size.width=64", "size.multiple=8"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a 7-Scenes download, weights and a settings file."""
    path = REPOSITORY / "tests" / "datasets" / "conftest.py"
    spec = importlib.util.spec_from_file_location("dataset_layouts_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("benchmarks")
    module._layouts("seven_scenes").write(folder / "7scenes", module._layouts("clip").make_clip(4))
    model = flow3r.create_model("pi3-smoke", "flow-factored")
    save_file(flow3r.export_released(model), folder / "tiny.safetensors")
    return folder


@pytest.fixture
def words(world):
    return [
        f"models.tiny.weights={world / 'tiny.safetensors'}", "benchmarks=[7scenes,sintel]",
        f"paths.7scenes={world / '7scenes'}", "device=cpu", *SMALL,
    ]  # fmt: skip


def sweep(*arguments):
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "sweeps/run.py"), "sweep=benchmarks", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_plan_says_what_is_missing(words):
    plan = plan_benchmarks(read_settings(words))
    there, absent = plan.cells
    assert there.planned.id.startswith("7scenes-")
    assert there.planned.spec["changed"] == {"frames.step": 1, "size.width": 64, "size.multiple": 8}
    assert absent.planned is None
    assert absent.missing == "no dataset: paths.sintel= is not given"


def test_the_same_weights_under_two_names_are_one_job(words, world):
    more = f"models.again.weights={world / 'tiny.safetensors'}"
    plan = plan_benchmarks(read_settings([*words, more]))
    [job] = plan_jobs(plan, world)
    assert job.label == "tiny/again on 7scenes"
    assert job.kind == "evaluation"
    assert job.directory == world / "evaluations" / job.id


def test_a_file_of_settings_and_words_over_it(world, tmp_path):
    content = {
        "models": {
            "tiny": {"weights": str(world / "tiny.safetensors")},
            "gone": {"run": "nowhere"},
        },
        "benchmarks": ["7scenes"],
        "paths": {"7scenes": str(world / "7scenes")},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    settings = read_settings(["models.third.predictions=rival", f"file={tmp_path / 'mine.yaml'}"])
    assert list(settings.models) == ["tiny", "gone", "third"]
    plan = plan_benchmarks(settings)
    assert [cell.missing and cell.missing.split(":")[0] for cell in plan.cells] == [
        None, "no run", "no predictions",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"needs models\.NAME\.run=DIR"),
        (["models.a.checkpoint=x"], r"models\.a=.*: give one of \['weights', 'run'"),
        (["models.a.run=x", "benchmarks=[sintle]"], "evaluation='sintle' is not valid; choose one"),
        (["models.a.run=x", "benchmarks=[sintel]", "size.wide=3"], r"size\.wide: unknown setting"),
        (["models.a.run=x", "file=absent.yaml"], r"file=absent\.yaml cannot be read"),
    ],
)  # fmt: skip
def test_mistakes_are_named(words, message):
    with pytest.raises(ConfigError, match=message):
        plan_benchmarks(read_settings(words))


@pytest.mark.slow
def test_the_front_door_evaluates_and_writes_the_table(words, tmp_path):
    preview = sweep(*words, f"output_dir={tmp_path}", "dry_run=true")
    assert preview.returncode == 0, preview.stderr
    assert "2 evaluations: 0 done, 1 to do, 1 without data or model" in preview.stdout
    assert not list(tmp_path.iterdir())
    first = sweep(*words, f"output_dir={tmp_path}")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "not run: tiny on sintel: no dataset: paths.sintel= is not given" in first.stdout
    table = (tmp_path / "reports/benchmarks/tables/static.md").read_text()
    [row] = [line for line in table.splitlines() if line.startswith("| tiny |")]
    assert [bool(cell.strip()) for cell in row.strip("|").split("|")[-4:]] == [True] * 4
    [directory] = (tmp_path / "evaluations").iterdir()
    status = json.loads((directory / "status.json").read_text())
    assert status["state"] == "done"
    again = sweep(*words, f"output_dir={tmp_path}")
    assert "1 evaluations, 1 done already" in again.stdout
    assert json.loads((directory / "status.json").read_text()) == status
    rival = [f"models.rival.predictions={tmp_path / 'rival'}", f"output_dir={tmp_path}"]
    (tmp_path / "rival").mkdir()
    [exported] = (tmp_path / "predictions").iterdir()
    (tmp_path / "rival/7scenes").symlink_to(exported)
    both = sweep(*words, *rival)
    assert both.returncode == 0, both.stdout + both.stderr
    rows = (tmp_path / "reports/benchmarks/tables/static.md").read_text().splitlines()
    tiny, other = (next(r for r in rows if r.startswith(f"| {n} |")) for n in ("tiny", "rival"))
    assert tiny.replace("tiny", "") == other.replace("rival", "")
