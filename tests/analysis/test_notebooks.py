"""The committed notebooks are the generated ones, and they run, with records and without."""

import os

import IPython.display
import nbformat
import pytest

from analysis import display, example, study
from analysis.notebooks import FOLDER, NOTEBOOKS, build, text
from analysis.study import Study, sweeps_in

NEEDS = {"formulations", "scaling", "backbones", "teachers"}  # notebooks of one sweep
SMALL = {
    "backbones": {
        "pi3-3d-sup": ("3d-sup", 0, 16, False),
        "pi3-flow-factored": ("flow-factored", 64, 16, False),
    },
    "teachers": {
        "3d-sup": ("3d-sup", 0, 16, False),
        "exact": ("flow-factored", 64, 16, False),
        "noisy": ("flow-factored", 64, 16, False),
    },
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_notebook_is_the_generated_one(name):
    committed = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert committed == text(name), "run: python analysis/notebooks.py"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_valid_and_holds_no_outputs(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_nothing_but_the_notebooks_lies_there():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.fixture(scope="session")
def all_sweeps(store, scaling, tmp_path_factory):
    """An output_dir in which every notebook finds its sweep."""
    folder = tmp_path_factory.mktemp("notebooks")
    store(seeds=(0, 1), scenes=4).write(folder)
    scaling(seeds=(0, 1), scenes=4).write(folder)
    return write_unrecorded(store, folder)


def write_unrecorded(store, folder):
    """Made-up records of the sweeps that the recorded example does not hold."""
    for sweep, arms in SMALL.items():
        first, *_, last = arms
        headline = {"arm": last, "baseline": first, "benchmark": "dynamic", "metrics": ["auc_30"]}
        store(sweep=sweep, arms=arms, headline=headline, seeds=(0, 1), scenes=4).write(folder)
    return folder


@pytest.fixture(scope="session")
def recorded(store, tmp_path_factory):
    """The recorded example, and made-up records for the notebooks that it is not enough for."""
    folder = tmp_path_factory.mktemp("recorded")
    example.unpack(folder)
    return write_unrecorded(store, folder)


@pytest.fixture
def shown(monkeypatch):
    """What the notebooks show: texts, and names of figures (drawn, not rendered)."""
    said = []
    for module in (display, study):
        monkeypatch.setattr(module, "show_text", said.append)
        monkeypatch.setattr(module, "show_figure", lambda figure: said.append(figure))
    return said


def run(name, output_dir, monkeypatch):
    """Execute the code cells of a notebook; returns what they defined."""
    monkeypatch.setenv("FLOW3R_OUTPUT_DIR", str(output_dir))
    monkeypatch.chdir(FOLDER)
    scope: dict = {"display": IPython.display.display}
    for cell in build(name).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{name}/{cell.id}", "exec"), scope)
    return scope


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_code_cells_run_with_records(name, all_sweeps, shown, monkeypatch):
    scope = run(name, all_sweeps, monkeypatch)
    studies = scope.get("studies") or [scope["study"]]
    assert all(found.records is not None for found in studies)
    if name in NEEDS:
        assert studies[0].records.plan.sweep == name
    figures = [item for item in shown if not isinstance(item, str)]
    assert len(figures) >= 2
    assert not any("No records" in item for item in shown if isinstance(item, str))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_without_records_it_says_what_to_run_and_stays_empty(name, tmp_path, shown, monkeypatch):
    scope = run(name, tmp_path, monkeypatch)
    studies = scope.get("studies") or [scope["study"]]
    assert all(found.records is None for found in studies)
    (message,) = shown
    sweep = name if name in NEEDS else "formulations"
    assert f"python sweeps/run.py sweep={sweep}" in message


def test_a_study_shows_its_state(store, tmp_path, shown, run_id):
    store(seeds=(0, 1), scenes=3).write(tmp_path)
    (tmp_path / "runs" / run_id("formulations", "flow-factored", 1) / "evaluation.json").unlink()
    assert sweeps_in(tmp_path) == ["formulations"]
    found = Study(tmp_path, "formulations")
    assert found.runs()["runs"].sum() == 12
    found.verdicts()
    assert shown[0].startswith("**Unfinished: 11 of 12 runs.")
    assert shown[1].startswith("**Unfinished.** ")
    shown.clear()
    found.pictures()
    assert "No predictions of `formulations` have been drawn" in shown[0]
    found.figure("conditions", "nothing of the kind")
    assert "motion and covisibility is not shown" in shown[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_executes_in_a_kernel_on_the_recorded_example(name, recorded, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("FLOW3R_OUTPUT_DIR", str(recorded))
    notebook = build(name)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": os.fspath(FOLDER)}}
    ).execute()
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= 2
