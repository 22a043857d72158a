"""Write the notebooks: `python analysis/notebooks.py` regenerates notebooks/*.ipynb.

They are thin: open a study, show its parts (`analysis/study.py`). Cell ids are fixed and there are
no outputs, so that the same source always gives the same bytes.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python puts this file's folder first, where statistics.py would hide the standard module.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from analysis.notebook_cells import NOTEBOOKS
from flow3r.files import write_text

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def build(name: str) -> nbformat.NotebookNode:
    """The notebook of that name, without outputs."""
    cells = [
        new_markdown_cell(source, id=cell_id)
        if cell_id.startswith("md-")
        else new_code_cell(source, id=cell_id)
        for cell_id, source in NOTEBOOKS[name]
    ]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook = new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(notebook)
    return notebook


def text(name: str) -> str:
    """The notebook's file content."""
    return nbformat.writes(build(name)) + "\n"


def main() -> None:
    """Write every notebook."""
    for name in NOTEBOOKS:
        write_text(FOLDER / f"{name}.ipynb", text(name))
        print(FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    main()
