"""The text of a tuning's dry run: the candidates, where each of them stands, the effort."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweeps.planning.preview import table_lines
from sweeps.timekeeping.cost import in_words
from sweeps.tuning.effort import runs_per_formulation
from sweeps.tuning.plan import TuningPlan
from sweeps.tuning.standings import Race, Standing


def preview(
    tuning: TuningPlan, races: Sequence[Race], left: float | None, slots: int, output_dir: Path
) -> str:
    """What the tuning would do now. left: seconds."""
    lines = [
        f"sweep tuning, profile {tuning.plan.profile}, output_dir {output_dir}",
        tuning.config.question,
        "",
        *_candidate_table(tuning),
        "",
        *_state_table(tuning, races),
        "",
        effort(tuning),
        f"time left with {slots} slot{'s' if slots != 1 else ''}: {in_words(left)}",
    ]
    return "\n".join(lines)


def effort(tuning: TuningPlan) -> str:
    """What every formulation is given, in one sentence."""
    ends = (*tuning.rungs, tuning.total_steps)
    parts = [f"{n} candidates to step {end}" for n, end in zip(tuning.fields, ends, strict=True)]
    seeds = tuning.config.seeds
    many = f" with seeds {list(seeds)}" if len(seeds) > 1 else f" with seed {seeds[0]}"
    return (
        f"every formulation: {', '.join(parts)}{many}; the steps of "
        f"{runs_per_formulation(tuning):g} whole runs"
    )


def _candidate_table(tuning: TuningPlan) -> list[str]:
    space = tuning.config.space
    header = ("candidate", *(parameter.label for parameter in space.values()))
    trials = tuning.of(tuning.config.formulations[0])
    rows = [(str(trial.number), *(f"{trial.values[name]:g}" for name in space)) for trial in trials]
    return table_lines(header, [(f"{rows[0][0]} (default)", *rows[0][1:]), *rows[1:]])


def _state_table(tuning: TuningPlan, races: Sequence[Race]) -> list[str]:
    measured = [f"step {step}" for step in tuning.rungs] + ["end"]
    rows = []
    for race in races:
        for standing in race.standings:
            values = [_shown(value) for value in (*standing.rungs, standing.score)]
            place = (race.formulation, str(standing.trial.number), ",".join(standing.trial.run_ids))
            rows.append((*place, _state(race, standing), *values))
    return table_lines(("formulation", "candidate", "id", "state", *measured), rows)


def _state(race: Race, standing: Standing) -> str:
    if standing.failed is not None:
        return "failed"
    if standing.score is not None:
        return "done"
    if race.has_dropped(standing.trial.number):
        return "dropped"
    return "at work" if standing.steps else "pending"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
