"""Write the notebooks: `python analysis/notebooks.py` regenerates notebooks/*.ipynb.

They are thin: load the records, call `analysis`, show. Cell ids are fixed and there are no
outputs, so that the same source always gives the same bytes.
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

from flow3r.files import write_text

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"

SETUP = """\
import os
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "analysis").is_dir())
sys.path.insert(0, str(root))
output_dir = Path(os.environ.get("FLOW3R_OUTPUT_DIR", root / "outputs"))"""

FORMULATIONS_IMPORTS = """\
from analysis import figures, report, summary, tables
from analysis.answer import answer
from analysis.chance import chance_sentence, chance_table
from analysis.display import show_figure, show_table, show_text
from analysis.metrics import HEADLINE, MOTION
from analysis.ordering import order_sentence, order_table
from analysis.records import learning_curves, load_records"""

SCALING_IMPORTS = """\
from analysis import figures, report, summary, tables
from analysis.answer import answer
from analysis.display import show_figure, show_table, show_text
from analysis.records import learning_curves, load_records
from analysis.scaling import scaling_curve"""

LOAD = """\
records = load_records(output_dir, "{sweep}")
numbers = summary.summarise(records)
records.runs.groupby(["arm", "state"], sort=False).size().rename("runs").to_frame()"""

ANSWER = """\
curves = report.headline_curves(records, numbers)
show_text(answer(records, numbers, curves))"""

LEARNING = """\
recorded = learning_curves(records)
figure = figures.learning_figure(records, recorded, report.curve_choice(recorded))
if figure is not None:
    show_figure(figure)"""

PLACE = """\
The records are looked for in `outputs/` of this repository, or where the environment variable
`FLOW3R_OUTPUT_DIR` points. An unfinished sweep can be looked at too; it is marked as such."""

FORMULATIONS = (
    (
        "md-title",
        "# Which way of predicting flow helps?\n\nFour formulations on one backbone, trained "
        "with the same number of steps and of clips per step, and two controls: the flow loss on "
        "labelled clips only, and four times the labels. Make the records with\n\n"
        f"    python sweeps/run.py sweep=formulations\n\n{PLACE}",
    ),
    ("code-setup", SETUP),
    ("code-imports", FORMULATIONS_IMPORTS),
    ("code-load", LOAD.format(sweep="formulations")),
    (
        "md-answer",
        "## The answer\n\nArms share seeds, data order and test scenes, so differences are paired "
        "over both. The intervals are 95 % and wide on purpose with few seeds "
        "(`analysis/statistics.py` says how).",
    ),
    ("code-answer", ANSWER),
    (
        "code-checks",
        "show_text(chance_sentence(records, numbers))\n"
        'show_text(order_sentence(records, numbers) or "")\n'
        "for table in (order_table(records, numbers), chance_table(records, numbers)):\n"
        "    if table is not None:\n"
        "        show_table(table)",
    ),
    ("md-scores", "## Scores and paired differences"),
    (
        "code-scores",
        "for benchmark in records.benchmarks():\n"
        "    shown = tables.shown_metrics(numbers, benchmark, HEADLINE)\n"
        "    baseline = records.plan.baseline\n"
        "    show_table(tables.benchmark_table(records, numbers, benchmark, shown))\n"
        "    show_table(tables.difference_table(records, numbers, benchmark, shown, baseline))",
    ),
    ("code-forest", "show_figure(figures.forest_figure(records, numbers, report.FOREST))"),
    ("md-motion", "## Static and moving pixels apart"),
    (
        "code-motion",
        "for benchmark in records.benchmarks():\n"
        "    shown = tables.shown_metrics(numbers, benchmark, MOTION)\n"
        "    if shown:\n"
        "        show_table(tables.benchmark_table(records, numbers, benchmark, shown))",
    ),
    (
        "md-scenes",
        "## Scene by scene\n\nAbove the line the headline arm scores higher than its baseline.",
    ),
    (
        "code-scenes",
        "asked = records.plan.headline\n"
        "show_figure(\n"
        "    figures.scene_figure(records, asked.arm, asked.baseline, asked.benchmark, "
        "asked.metrics)\n"
        ")",
    ),
    ("md-learning", "## Learning curves and cost"),
    ("code-learning", LEARNING),
    ("code-cost", "show_table(tables.cost_table(records))"),
)

SCALING = (
    (
        "md-title",
        "# What is unlabelled video worth?\n\nflow-factored with more and more unlabelled clips, "
        "beside `3d-sup` (no flow) and `3d-sup++` (four times the labels). Make the records "
        f"with\n\n    python sweeps/run.py sweep=scaling\n\n{PLACE}",
    ),
    ("code-setup", SETUP),
    ("code-imports", SCALING_IMPORTS),
    ("code-load", LOAD.format(sweep="scaling")),
    (
        "md-answer",
        "## The answer\n\nThe gain compares the largest count with the smallest, over the same "
        "seeds and scenes; the slope is per doubling. Neither claims a shape of the curve.",
    ),
    ("code-answer", ANSWER),
    (
        "md-curve",
        "## The curve\n\nFirst the scores, then paired differences to the smallest count, where "
        "what all runs share cancels.",
    ),
    (
        "code-curve",
        "shown = [\n"
        "    scaling_curve(records, numbers, benchmark, metric)\n"
        "    for benchmark in records.benchmarks()\n"
        "    for metric in tables.shown_metrics(numbers, benchmark, report.CURVES)\n"
        "]\n"
        "show_figure(figures.scaling_figure(records, shown))\n"
        "show_figure(figures.gain_figure(records, shown))",
    ),
    ("md-points", "## The points behind it"),
    (
        "code-points",
        "for curve in curves:\n"
        '    show_text(f"{curve.benchmark}: {curve.metric}")\n'
        '    show_text(curve.points.to_html(index=False, float_format="{:.2f}".format))',
    ),
    ("md-learning", "## Learning curves and cost"),
    ("code-learning", LEARNING),
    ("code-cost", "show_table(tables.cost_table(records))"),
)

NOTEBOOKS = {"formulations": FORMULATIONS, "scaling": SCALING}


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
