"""Where every trial of a tuning stands, read from the run directories: the only truth there is."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.rundir import read_metrics, read_status
from flow3r.evaluation.names import metric
from flow3r.files import read_json
from sweeps import states
from sweeps.tuning.halving import ranking, survivors
from sweeps.tuning.plan import Trial, TuningPlan

NOT_FINITE = float("nan")


@dataclass(frozen=True)
class Standing:
    """One trial.

    measured: the metric of every run (one per seed) at each rung and, last, at the end; None where
    it is not there yet. failed: why, if a run failed. steps, train_seconds, seconds: spent so far.
    """

    trial: Trial
    measured: tuple[tuple[float | None, ...], ...]
    failed: str | None
    steps: int
    train_seconds: float
    seconds: float

    @property
    def rungs(self) -> tuple[float | None, ...]:
        """The mean over the seeds at each rung; None where a seed is missing."""
        return tuple(_mean(values) for values in zip(*self.measured, strict=True))[:-1]

    @property
    def score(self) -> float | None:
        """The mean over the seeds at the end."""
        return _mean([values[-1] for values in self.measured])

    def has_reached(self, rung: int) -> bool:
        """Whether every run has been measured at a rung, or at the end (rung = their number)."""
        return not self.missing(rung)

    def missing(self, rung: int) -> list[str]:
        """The ids of the runs that have not been measured there."""
        pairs = zip(self.trial.run_ids, self.measured, strict=True)
        return [run for run, values in pairs if values[rung] is None]


@dataclass(frozen=True)
class Race:
    """A formulation's trials, and who went on where.

    fields: the numbers of the trials that train up to each rung and, last, to the end, as far as
    that is decided.
    """

    formulation: str
    standings: tuple[Standing, ...]
    fields: tuple[tuple[int, ...], ...]

    def open(self, rung: int) -> list[Standing]:
        """The trials that still have to reach a rung, failed ones among them."""
        return [s for s in self._field(rung) if not s.has_reached(rung)]

    def has_dropped(self, number: int) -> bool:
        """Whether a trial was in a field and is not in the last one that is decided."""
        return number not in self.fields[-1]

    def _field(self, rung: int) -> list[Standing]:
        return [self.standings[number] for number in self.fields[rung]]


def races(tuning: TuningPlan, output_dir: Path) -> tuple[Race, ...]:
    """Every formulation's race as the run directories have it now."""
    return tuple(_race(tuning, name, output_dir) for name in tuning.config.formulations)


def chosen(tuning: TuningPlan, race: Race) -> Standing | None:
    """The best of the finalists, the lower number of equals; None before all of them have ended."""
    if len(race.fields) <= len(tuning.rungs) or not _over(race, len(tuning.rungs)):
        return None
    scores = {number: race.standings[number].score for number in race.fields[-1]}
    ranked = ranking(scores, metric(tuning.config.metric).better)
    return race.standings[ranked[0]] if ranked else None


def _race(tuning: TuningPlan, formulation: str, output_dir: Path) -> Race:
    look = partial(_standing, tuning, output_dir)
    standings = tuple(look(trial) for trial in tuning.of(formulation))
    race = Race(formulation, standings, (tuple(range(len(standings))),))
    better = metric(tuning.config.metric).better
    for rung, places in enumerate(tuning.fields[1:]):
        if not _over(race, rung):
            break
        scores = {number: standings[number].rungs[rung] for number in race.fields[-1]}
        race = Race(formulation, standings, (*race.fields, survivors(scores, places, better)))
    return race


def _over(race: Race, rung: int) -> bool:
    """Whether every trial in the field has reached a rung, or has failed."""
    return all(standing.failed is not None for standing in race.open(rung))


def _standing(tuning: TuningPlan, output_dir: Path, trial: Trial) -> Standing:
    directories = [output_dir / "runs" / name for name in trial.run_ids]
    statuses = [read_status(directory) or {} for directory in directories]
    key = f"validation/{tuning.config.benchmark}/{tuning.config.metric}"
    return Standing(
        trial=trial,
        measured=tuple(
            (*_curve(directory, key, tuning.rungs), _final(directory, tuning))
            for directory in directories
        ),
        failed=_failure(directories),
        steps=sum(status.get("step", 0) for status in statuses),
        train_seconds=sum(status.get("train_seconds", 0.0) for status in statuses),
        seconds=sum(status.get("seconds", 0.0) for status in statuses),
    )


def _curve(directory: Path, key: str, steps: Sequence[int]) -> list[float | None]:
    """The values of a run's curve at some steps; NaN where it was measured and is not finite."""
    found = {r["step"]: r["metrics"] for r in read_metrics(directory) if _validates(r)}
    return [found[step].get(key, NOT_FINITE) if step in found else None for step in steps]


def _validates(record: dict) -> bool:
    names = (*record["metrics"], *record.get("nonfinite", ()))
    return any(name.startswith("validation/") for name in names)


def _final(directory: Path, tuning: TuningPlan) -> float | None:
    if states.state_of(directory) != states.DONE:
        return None
    evaluation = read_json(directory / "evaluation.json")
    summary = evaluation["benchmarks"][tuning.config.benchmark]["summary"]
    value = summary.get(tuning.config.metric)
    return NOT_FINITE if value is None else value


def _failure(directories: Sequence[Path]) -> str | None:
    for directory in directories:
        if states.state_of(directory) == states.FAILED:
            return (read_status(directory) or {}).get("reason") or "no reason recorded"
    return None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None
