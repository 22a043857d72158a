"""The committed notebooks are the generated ones, and they run."""

import os
from functools import partial

import nbformat
import pytest

from analysis import display, summary
from analysis.notebooks import FOLDER, NOTEBOOKS, build, text


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


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_code_cells_run(name, both_sweeps, monkeypatch, capsys):
    monkeypatch.setattr(summary, "summarise", partial(summary.summarise, resamples=100))
    monkeypatch.setattr(display, "show_figure", lambda figure: None)  # drawn, not rendered
    monkeypatch.setenv("FLOW3R_OUTPUT_DIR", str(both_sweeps))
    monkeypatch.chdir(FOLDER)
    scope: dict = {}
    for cell in build(name).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{name}/{cell.id}", "exec"), scope)
    assert scope["records"].plan.sweep == name


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_executes_in_a_kernel(name, both_sweeps, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("FLOW3R_OUTPUT_DIR", str(both_sweeps))
    notebook = build(name)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": os.fspath(FOLDER)}}
    ).execute()
    shown = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert not [o for o in shown if o.output_type == "error"]
    assert sum("image/png" in o.get("data", {}) for o in shown) >= 3
