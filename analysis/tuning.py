"""Rebuild the report of a tuning from its record.

usage: python analysis/tuning.py [output_dir=outputs] [to=FOLDER]

Reads   <output_dir>/reports/tuning/trials.json
Writes  <output_dir>/reports/tuning/{report.html, report.md, results.json, tables/, figures/}
        (into FOLDER where one is given). report.html holds everything it shows.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python puts this file's folder first, where statistics.py would hide the standard module.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):  # answered before the imports that take seconds
        print(__doc__.strip())
        sys.exit(0)

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.arguments import parse_arguments
from analysis.document import (
    Block,
    Bullets,
    Document,
    Picture,
    Section,
    TableBlock,
    Text,
    Written,
    alone,
    write_document,
)
from analysis.markup import Table, to_text, write_tables
from analysis.metrics import number, unit_of_difference
from analysis.style import COLUMN_WIDTH, save_figure
from analysis.tuning_figures import best_of_figure, settings_figure
from analysis.tuning_records import SWEEP, Tuning, load_tuning
from analysis.tuning_tables import (
    best_of_data,
    candidate_table,
    chosen_table,
    effort_table,
    gain,
    importance_table,
    trial_data,
)
from analysis.wording import listed
from flow3r.errors import ConfigError, DataError
from flow3r.files import write_json, write_text

SETTINGS = {"output_dir": "outputs", "to": ""}


def write_tuning(output_dir: Path, folder: Path | None = None) -> Written:
    """Write tables, figures, report and results. DataError without a record."""
    folder = folder or output_dir / "reports" / SWEEP
    with alone(folder):
        tuning = load_tuning(output_dir)
        _write_tables(tuning, folder / "tables")
        page = document(tuning, _draw(tuning, folder / "figures"))
        write_json(folder / "results.json", results(tuning))
        text = f"{to_text(chosen_table(tuning))}\n{effort_sentence(tuning)}"
        return Written(text, write_document(page, folder))


def document(tuning: Tuning, pictures: Sequence[Picture]) -> Document:
    """What was chosen and what it brought, then every candidate, and how it was done."""
    best_of, *others = pictures or (None,)
    front: list[Block] = [TableBlock(chosen_table(tuning))]
    front += [best_of] if best_of else []
    front.append(Bullets(tuple(_to_keep_in_mind(tuning))))
    importance = importance_table(tuning)
    too_few = "Too few candidates, or equal scores: no importance of the settings was computed."
    about: Block = Text(too_few) if importance is None else TableBlock(importance, titled=False)
    sections = (
        Section(
            "Candidates",
            tuple(TableBlock(candidate_table(tuning, f)) for f in tuning.formulations),
        ),
        Section("What the settings do", (*others, about)),
        Section("Effort", (Text(effort_sentence(tuning)), TableBlock(effort_table(tuning), False))),
        Section("How it was done", (Bullets(tuple(_provenance(tuning))),)),
    )
    return Document(
        title=f"Report: {SWEEP} (profile {tuning.profile})",
        subtitle=f"{len(tuning.formulations)} formulations, {tuning.budget['candidates']} "
        "candidates each, the same for all.",
        banner="" if tuning.complete else "Unfinished: nothing is chosen yet.",
        front=tuple(front),
        sections=sections,
    )


def results(tuning: Tuning) -> dict[str, Any]:
    """results.json: what was chosen, what it brought, and the curves."""
    curves = best_of_data(tuning)
    return {
        "schema": 1,
        "sweep": SWEEP,
        "profile": tuning.profile,
        "complete": tuning.complete,
        "metric": tuning.metric,
        "benchmark": tuning.benchmark,
        "formulations": {
            formulation.name: {
                "chosen": None if formulation.chosen is None else formulation.chosen.candidate,
                "values": None if formulation.chosen is None else dict(formulation.chosen.values),
                "score": None if formulation.chosen is None else formulation.chosen.score,
                "default_score": formulation.default.score,
                "gain": gain(tuning, formulation),
                "importance": formulation.importance,
                "best_of": curves.loc[
                    curves["formulation"] == formulation.name, "expected_best"
                ].tolist(),
            }
            for formulation in tuning.formulations
        },
    }


def effort_sentence(tuning: Tuning) -> str:
    """Whether every formulation had the same effort, and how much of it."""
    budget = tuning.budget
    ends = (*budget["rungs"], budget["total_steps"])
    parts = [f"{n} to step {end}" for n, end in zip(budget["fields"], ends, strict=True)]
    failed = {f.name: [t for t in f.trials if t.failed is not None] for f in tuning.formulations}
    lost = [f"{len(trials)} of {name}" for name, trials in failed.items() if trials]
    steps = {sum(trial.steps for trial in f.trials) for f in tuning.formulations}
    given = f"Every formulation was given the same candidates: {', '.join(parts)}."
    if lost:
        return f"{given} Some failed ({listed(lost)}): their effort is not equal."
    if len(steps) > 1:
        return f"{given} They have not all been trained yet."
    return f"{given} Each trained {steps.pop()} steps in all."


def _to_keep_in_mind(tuning: Tuning) -> list[str]:
    dropped = [f.name for f in tuning.formulations if f.chosen is not None and f.chosen.default]
    lines = [effort_sentence(tuning)]
    if dropped:
        lines.append(f"No candidate was better than the default values for {listed(dropped)}.")
    gains = {f.name: gain(tuning, f) for f in tuning.formulations}
    known = {name: value for name, value in gains.items() if value is not None}
    if len(known) > 1:
        low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        unit = unit_of_difference(tuning.metric)
        lines.append(
            f"Tuning brought most to {high} ({number(tuning.metric, known[high], True, 1)} {unit}) "
            f"and least to {low} ({number(tuning.metric, known[low], True, 1)} {unit}), on the "
            "scenes of the choice: a difference between formulations smaller than that may be one "
            "of tuning."
        )
    lines.append(
        "The report of `sweep=formulations tuned=true` measures it on seeds and scenes that had no "
        "part in the choice."
    )
    return lines


def _provenance(tuning: Tuning) -> list[str]:
    at_rungs, at_end = tuning.scenes["rungs"], tuning.scenes["end"]
    overrides = " ".join(tuning.overrides)
    return [
        "Candidate 0 has the default values and is never dropped; the others are points of one "
        "scrambled Sobol sequence, on logarithmic scales.",
        f"Seeds {list(tuning.seeds)}, which no reported run has.",
        f"Compared at the rungs on {at_rungs['clips']} clips of the domain {at_rungs['domain']} "
        f"(data seed {at_rungs['seed']}), at the end on {at_end['clips']} others (data seed "
        f"{at_end['seed']}); no reported score and no learning curve of a study uses them.",
        f"Overrides: {overrides}." if overrides else "No overrides.",
        f"Code: commit {tuning.git_commit or 'unknown'}.",
        "Every candidate is a run of its own in `runs/`; `tuning/` holds Optuna's journal of them.",
    ]


def _write_tables(tuning: Tuning, folder: Path) -> None:
    tables: dict[str, tuple[Table, pd.DataFrame]] = {}
    everything = trial_data(tuning)
    tables["chosen"] = (chosen_table(tuning), everything)
    for formulation in tuning.formulations:
        rows = everything[everything["formulation"] == formulation.name]
        tables[f"candidates-{formulation.name}"] = (candidate_table(tuning, formulation), rows)
    tables["effort"] = (effort_table(tuning), everything)
    for name, (table, data) in tables.items():
        write_tables(table, data, folder / name)
    write_text(folder / "best-of.csv", best_of_data(tuning).to_csv(index=False))


def _draw(tuning: Tuning, folder: Path) -> list[Picture]:
    """The figures, for a page and for a column; none before anything is measured."""
    if best_of_data(tuning).empty:
        return []
    where = f"after step {tuning.compared_at}, where all candidates were measured"
    pruned = " Dropped ones count with what they had there." if tuning.budget["rungs"] else ""
    scenes = f"on the {tuning.benchmark} scenes of the rungs, {where}"
    drawn: dict[str, tuple[Callable, str]] = {
        "best-of": (
            best_of_figure,
            f"**The expected best of k candidates**, drawn from those that were tried, {scenes}: "
            f"what a formulation would have reached with less tuning.{pruned}",
        ),
        "settings": (
            settings_figure,
            f"**Every candidate over each setting**, {scenes}. The line: the default value.",
        ),
    }
    pictures = []
    for name, (draw, caption) in drawn.items():
        png, _ = save_figure(draw(tuning), folder / name)
        narrow, _ = save_figure(draw(tuning, COLUMN_WIDTH), folder / f"{name}-column")
        pictures.append(Picture(name, caption, png, narrow))
    return pictures


def main(arguments: Sequence[str]) -> int:
    """The command line; the exit code."""
    try:
        settings = parse_arguments(arguments, SETTINGS, "tuning.py")
        to = Path(settings["to"]) if settings["to"] else None
        written = write_tuning(Path(settings["output_dir"]), to)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(written.text)
    print(f"Report: {written.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
