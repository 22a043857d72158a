"""The tables of a tuning's report."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.markup import Table
from analysis.metrics import heading, improvement, number
from analysis.tuning_records import Formulation, Trial, Tuning, best_of

NONE = "–"
CHOSEN_NOTE = (
    "Scores: on the tuning scenes, on which the choice was made, so that the gain of what was "
    "chosen is flattering; `tuned=true` measures it on other scenes and seeds. "
    "A setting that a formulation does not use is listed all the same."
)


def chosen_table(tuning: Tuning) -> Table:
    """The default values, then what was chosen for every formulation and what it scored."""
    labels = [setting.label for setting in tuning.settings]
    header = ("formulation", "candidate", *labels, "default", "chosen", "gain")
    usual = [f"{setting.default:g}" for setting in tuning.settings]
    rows = [("default values", "0", *usual, "", "", "")]
    rows += [_chosen_row(tuning, formulation) for formulation in tuning.formulations]
    title = f"Chosen values, and {heading(tuning.metric)} on {tuning.benchmark} tuning scenes"
    return Table(title, header, tuple(rows), note=CHOSEN_NOTE)


def candidate_table(tuning: Tuning, formulation: Formulation) -> Table:
    """Every candidate of a formulation with its scores; the chosen one in bold."""
    labels = [setting.label for setting in tuning.settings]
    steps = [f"step {step}" for step in tuning.budget["rungs"]]
    header = ("candidate", *labels, *steps, "end", "went")
    rows = [_trial_row(tuning, trial) for trial in formulation.trials]
    best = formulation.chosen
    marked = frozenset(
        (i, j)
        for i, trial in enumerate(formulation.trials)
        for j in range(len(header))
        if best is not None and trial.candidate == best.candidate
    )
    title = f"Candidates of {formulation.name}: {heading(tuning.metric)}"
    return Table(title, header, tuple(rows), marked)


def effort_table(tuning: Tuning) -> Table:
    """What every formulation spent, as measured."""
    header = ("formulation", "candidates", "to the end", "failed", "steps", "training s", "total s")
    rows = []
    for formulation in tuning.formulations:
        trials = formulation.trials
        counts = (
            len(trials),
            sum(trial.score is not None for trial in trials),
            sum(trial.failed is not None for trial in trials),
            sum(trial.steps for trial in trials),
        )
        seconds = (sum(t.train_seconds for t in trials), sum(t.seconds for t in trials))
        rows.append((formulation.name, *map(str, counts), *(f"{s:.0f}" for s in seconds)))
    note = (
        "Total: with start, validation and scoring. All were given equal candidates and steps; "
        "seconds differ, because a step of one costs more than a step of another."
    )
    return Table("Effort per formulation", header, tuple(rows), note=note)


def importance_table(tuning: Tuning) -> Table | None:
    """The share of the variance that each setting explains; None where nothing was computed."""
    known = [f for f in tuning.formulations if f.importance is not None]
    if not known:
        return None
    header = ("formulation", *(setting.label for setting in tuning.settings))
    rows = []
    for formulation in known:
        shares = [formulation.importance[setting.name] for setting in tuning.settings]
        rows.append((formulation.name, *(f"{100 * share:.0f} %" for share in shares)))
    note = (
        f"fANOVA on {len(known[0].compared)} candidates at step {tuning.compared_at}: a hint, not "
        "a measurement. A setting that a formulation does not use shows how much of it is chance."
    )
    return Table("Importance of the settings", header, tuple(rows), note=note)


def best_of_data(tuning: Tuning) -> pd.DataFrame:
    """formulation, candidates, expected_best: the curve of every formulation."""
    rows = [
        (formulation.name, count, best_of(formulation.compared, count, tuning.metric))
        for formulation in tuning.formulations
        for count in range(1, len(formulation.compared) + 1)
    ]
    return pd.DataFrame(rows, columns=["formulation", "candidates", "expected_best"])


def trial_data(tuning: Tuning) -> pd.DataFrame:
    """One row per candidate of a formulation."""
    rungs = tuning.budget["rungs"]
    rows = [
        {
            "formulation": formulation.name,
            "candidate": trial.candidate,
            **trial.values,
            **{f"step_{step}": value for step, value in zip(rungs, trial.rungs, strict=True)},
            "end": trial.score,
            "failed": trial.failed,
            "steps": trial.steps,
            "train_seconds": trial.train_seconds,
            "seconds": trial.seconds,
        }
        for formulation in tuning.formulations
        for trial in formulation.trials
    ]
    return pd.DataFrame(rows)


def gain(tuning: Tuning, formulation: Formulation) -> float | None:
    """Chosen less default at the end, turned so that positive is better; None if one is missing."""
    best, usual = formulation.chosen, formulation.default.score
    if best is None or best.score is None or usual is None:
        return None
    return improvement(tuning.metric, best.score - usual)


def _chosen_row(tuning: Tuning, formulation: Formulation) -> tuple[str, ...]:
    best, name = formulation.chosen, tuning.metric
    if best is None:
        values: Sequence[str] = [NONE] * (len(tuning.settings) + 1)
        score = None
    else:
        values = [str(best.candidate), *_values(tuning, best)]
        score = best.score
    scores = [number(name, value, finer=1) for value in (formulation.default.score, score)]
    worth = number(name, gain(tuning, formulation), signed=True, finer=1)
    return (formulation.name, *values, *scores, worth)


def _trial_row(tuning: Tuning, trial: Trial) -> tuple[str, ...]:
    measured = [number(tuning.metric, value, finer=1) for value in (*trial.rungs, trial.score)]
    label = f"{trial.candidate} (default)" if trial.default else str(trial.candidate)
    return (label, *_values(tuning, trial), *measured, _fate(trial))


def _values(tuning: Tuning, trial: Trial) -> list[str]:
    return [f"{trial.values[setting.name]:g}" for setting in tuning.settings]


def _fate(trial: Trial) -> str:
    if trial.failed is not None:
        return "failed"
    if trial.score is not None:
        return "to the end"
    return "dropped" if trial.dropped else "at work"
