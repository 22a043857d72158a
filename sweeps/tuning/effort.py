"""What a tuning still costs."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps import states
from sweeps.jobs import Job
from sweeps.timekeeping.cost import CostModel
from sweeps.timekeeping.forecast import remaining_seconds
from sweeps.tuning.halving import step_shares
from sweeps.tuning.plan import TuningPlan
from sweeps.tuning.standings import Race


def seconds_left(
    tuning: TuningPlan, races: Sequence[Race], jobs: Sequence[Job], costs: CostModel, slots: int
) -> float | None:
    """Wall time until every finalist is scored; None where nothing tells what a run takes."""
    stages = [job for job in jobs if not job.is_run]
    open_stages = [job for job in stages if states.state_of(job.directory) != states.DONE]
    seconds = [remaining_seconds(job, costs) for job in open_stages]
    by_id = {job.id: job for job in jobs}
    for race in races:
        left = _runs_left(tuning, race)
        run = _run_seconds(tuning, race, by_id, costs) if left else 0.0
        seconds.append(None if run is None else left * run)
    if any(value is None for value in seconds):
        return None
    return sum(value or 0.0 for value in seconds) / max(1, slots)


def runs_per_formulation(tuning: TuningPlan) -> float:
    """The steps that a formulation is given, in runs of full length."""
    shares = step_shares(tuning.fields, tuning.rungs, tuning.total_steps)
    return shares * len(tuning.config.seeds)


def _runs_left(tuning: TuningPlan, race: Race) -> float:
    """In runs of full length; failed trials are not counted on to be tried again."""
    seeds, shares = len(tuning.config.seeds), 0.0
    ends = (*tuning.rungs, tuning.total_steps)
    for rung, (start, end) in enumerate(zip((0, *tuning.rungs), ends, strict=True)):
        if rung >= len(race.fields):
            shares += tuning.fields[rung] * (end - start) * seeds
            continue
        for standing in race.open(rung):
            if standing.failed is None:
                shares += min(end - start, max(0, end - standing.steps / seeds)) * seeds
    return shares / tuning.total_steps


def _run_seconds(
    tuning: TuningPlan, race: Race, by_id: dict[str, Job], costs: CostModel
) -> float | None:
    """Of a run of full length: as measured on this formulation, else as for any other run."""
    measured = [s for s in race.standings if s.has_reached(0) and s.seconds and s.steps]
    if measured:
        per_step = sum(s.seconds for s in measured) / sum(s.steps for s in measured)
        return per_step * tuning.total_steps
    return costs.of(by_id[race.standings[0].trial.run_ids[0]]).seconds
